"""The exceptions of the BlockSearch resource and its history.

::

    blockqnn.errors.BlockQNNError
    └── OperatorError
        ├── InvalidSearch       a BlockSearch that cannot run as it is written
        └── HistoryUnreadable   stored history that this version cannot read
"""

from blockqnn.errors import BlockQNNError


class OperatorError(BlockQNNError):
    """Anything that the operator reports to its user; its text is a complete sentence."""


class InvalidSearch(OperatorError):
    """A BlockSearch that cannot run as it is written; the search waits until it is changed."""


class HistoryUnreadable(OperatorError):
    """Stored history that this version cannot read; that search stops, and nothing else."""
