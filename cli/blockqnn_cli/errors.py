"""The exceptions of the command line.

::

    blockqnn.errors.BlockQNNError
    └── CommandError
        └── SearchNotFound
"""

from blockqnn.errors import BlockQNNError


class CommandError(BlockQNNError):
    """Something that ends a command; its text is a complete sentence."""


class SearchNotFound(CommandError):
    """There is no such BlockSearch."""
