"""The exceptions of the operator.

::

    blockqnn.errors.BlockQNNError
    └── OperatorError
        ├── InvalidSearch       a BlockSearch that cannot run as it is written
        ├── HistoryUnreadable   stored history that this version cannot read
        ├── ClusterUnavailable  the API server cannot be reached or refuses the operator
        ├── ResourceUndefined   the cluster does not know BlockSearches
        └── WatchesEnded        the API server ended a watch for good
"""

from blockqnn.errors import BlockQNNError


class OperatorError(BlockQNNError):
    """Anything that the operator reports to its user; its text is a complete sentence."""


class InvalidSearch(OperatorError):
    """A BlockSearch that cannot run as it is written; the search waits until it is changed."""


class HistoryUnreadable(OperatorError):
    """Stored history that this version cannot read; that search stops, and nothing else."""


class ClusterUnavailable(OperatorError):
    """The API server cannot be reached, or it refuses the operator's credentials."""


class ResourceUndefined(OperatorError):
    """The cluster does not know BlockSearches; the operator waits until it does."""


class WatchesEnded(OperatorError):
    """The API server ended a watch for good: the process ends, to be started anew."""
