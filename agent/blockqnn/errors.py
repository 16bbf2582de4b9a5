"""The exceptions of the agent.

::

    BlockQNNError
    ├── InvalidBlock        a Network Structure Code that breaks a rule of the papers
    ├── InvalidSettings     settings that contradict themselves or each other
    │   ├── UnknownStrategy           an algorithm that no installed package registers
    │   ├── ScheduleMismatch          an epsilon schedule of another length than the budget's
    │   └── UnsatisfiableConstraints  limits that no block of the space keeps
    ├── InvalidMessage      a trial specification or result that cannot be read
    ├── InvalidHistory      recorded trials that this search cannot have produced
    │   └── ForeignHistory            blocks that do not belong to the space
    ├── NotProposable       blocks that depend on values not learned yet, or no longer there
    └── NotFitted           a prediction asked of a model that has seen no trial

Every message names the problem, its place and the remedy.
"""


class BlockQNNError(Exception):
    """Base of the errors that BlockQNN reports to its user; the text is a complete sentence."""


class InvalidBlock(BlockQNNError):
    """A Network Structure Code that breaks a rule of the papers."""


class InvalidSettings(BlockQNNError):
    """Settings that contradict themselves or each other."""


class UnknownStrategy(InvalidSettings):
    """An algorithm that no installed package registers, or whose package cannot be used."""


class ScheduleMismatch(InvalidSettings):
    """An epsilon schedule with another number of iterations than the budget makes."""


class UnsatisfiableConstraints(InvalidSettings):
    """Limits that not even the cheapest block of the space keeps."""


class InvalidMessage(BlockQNNError):
    """A trial specification or a trial result that cannot be read."""


class InvalidHistory(BlockQNNError):
    """Recorded trials that this search, with these settings, cannot have produced."""


class ForeignHistory(InvalidHistory):
    """Recorded trials of blocks that do not belong to the space of this search."""


class NotProposable(BlockQNNError):
    """A request for blocks that depend on values not learned yet, or no longer there."""


class NotFitted(BlockQNNError):
    """A request to a model that has not learned anything yet."""
