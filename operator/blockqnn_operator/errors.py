"""The exceptions of the operator.

::

    blockqnn_api.errors.OperatorError
        ├── AgentEnded          the process of a search's agent has ended
        ├── AgentsUnavailable   no process of an agent can be started
        ├── AddressUnavailable  a port that the operator should serve is not free
        ├── ClusterUnavailable  the API server cannot be reached or refuses the operator
        │   └── AnswerUnreadable    an answer that is none of an API server
        ├── ResourceUndefined   the cluster does not know BlockSearches
        └── WatchesEnded        the API server ended a watch for good
"""

from blockqnn_api.errors import OperatorError


class AgentEnded(OperatorError):
    """The process of a search's agent has ended; the search is recovered with another."""


class AgentsUnavailable(OperatorError):
    """The process that agents are forked from cannot be started."""


class AddressUnavailable(OperatorError):
    """A port that the operator should serve cannot be opened."""


class ClusterUnavailable(OperatorError):
    """The API server cannot be reached, or it refuses the operator's credentials."""


class AnswerUnreadable(ClusterUnavailable):
    """An answer that no API server gives, such as the page of a proxy in front of it."""


class ResourceUndefined(OperatorError):
    """The cluster does not know BlockSearches; the operator waits until it does."""


class WatchesEnded(OperatorError):
    """The API server ended a watch for good: the process ends, to be started anew."""
