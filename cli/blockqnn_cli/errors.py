"""The exceptions of the command line, and the exit statuses that scripts can rely on.

::

    blockqnn.errors.BlockQNNError
    └── CommandError             1  anything that is none of the following
        ├── WrongUsage           2  options that exclude each other
        ├── ClusterUnreachable   3  no usable kubeconfig, or no answer from the API server
        ├── NotFound             4  no such search, trial or Job
        ├── Forbidden            5  the API server refuses this user
        └── NothingYet           6  the search does not have yet what was asked for
"""

from enum import IntEnum
from typing import ClassVar

from blockqnn.errors import BlockQNNError


class ExitStatus(IntEnum):
    """Exit statuses of commands, which are never renumbered."""

    OK = 0
    """The command did what was asked."""
    FAILED = 1
    """The command failed, or `validate` found a problem; the message explains it."""
    USAGE = 2
    """The command line itself is wrong."""
    UNREACHABLE = 3
    """There is no usable kubeconfig, or the API server does not answer."""
    NOT_FOUND = 4
    """There is no such search, trial or Job."""
    FORBIDDEN = 5
    """The API server refuses this user."""
    NOTHING_YET = 6
    """The search exists, but does not have yet what was asked for."""
    INTERRUPTED = 130
    """Ctrl-C."""
    BROKEN_PIPE = 141
    """The reader of the output has closed it."""


class CommandError(BlockQNNError):
    """Error that ends a command; its text is a complete sentence."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.FAILED


class WrongUsage(CommandError):
    """Options that exclude each other."""

    exit_status = ExitStatus.USAGE


class ClusterUnreachable(CommandError):
    """There is no usable kubeconfig, or the API server does not answer."""

    exit_status = ExitStatus.UNREACHABLE


class NotFound(CommandError):
    """There is no such search, trial or Job."""

    exit_status = ExitStatus.NOT_FOUND


class Forbidden(CommandError):
    """The API server refuses this user."""

    exit_status = ExitStatus.FORBIDDEN


class NothingYet(CommandError):
    """The search exists, but does not have yet what was asked for."""

    exit_status = ExitStatus.NOTHING_YET
