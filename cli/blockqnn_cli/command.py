"""Commands and the context that they run in."""

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rich.console import Console

from blockqnn_cli.errors import WrongUsage
from blockqnn_cli.plain import plain
from blockqnn_cli.view import SearchView

if TYPE_CHECKING:
    from blockqnn_cli.searches import Searches


class Context:
    """Options, console and searches that a command works with.

    Args:
        options: the parsed command line.
        console: prints for people.
    """

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self.options, self.console = options, console

    @cached_property
    def searches(self) -> "Searches":
        """The searches of the cluster; the first access connects to it.

        Raises:
            ClusterUnreachable: when there is no usable kubeconfig.
        """
        # Importing the client library takes half a second; offline commands do without it.
        from blockqnn_cli.searches import Searches

        return Searches(self.options.kubeconfig, self.options.context)

    @property
    def namespace(self) -> str:
        """The namespace that was named, else that of the kubeconfig's context."""
        return str(self.options.namespace or self.searches.cluster.namespace)

    def search(self, *, history_needed: bool = True) -> SearchView:
        """Return the search that the command line names.

        Args:
            history_needed: whether a history that cannot be read is an error.

        Raises:
            NotFound: when there is none of that name.
            CommandError: when the API server cannot be reached or refuses.
        """
        return self.searches.get(self.namespace, self.options.name, history_needed=history_needed)

    def write(self, text: str) -> None:
        """Write text to the standard output as it is but for control characters, and a line end."""
        sys.stdout.write(plain(text if text.endswith("\n") else text + "\n"))

    def write_bytes(self, content: bytes) -> None:
        """Write bytes that are not text to the standard output.

        Raises:
            WrongUsage: when that is a terminal, which could not show it.
        """
        if sys.stdout.isatty():
            raise WrongUsage("This output is binary; redirect it to a file with `> FILE`.")
        sys.stdout.buffer.write(content)


def find_search(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments by which a search is found."""
    parser.add_argument("name", metavar="NAME", type=_name, help="name of the BlockSearch")
    parser.add_argument("-n", "--namespace", help="default: that of the kubeconfig's context")
    parser.add_argument("--context", help="the context of the kubeconfig; default: the current one")
    parser.add_argument("--kubeconfig", help="default: KUBECONFIG, then ~/.kube/config")


def _name(text: str) -> str:
    """Refuse text that cannot be a name: the API server would read it as something else."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be the name of a BlockSearch")
    return text


@dataclass(frozen=True, slots=True)
class Command:
    """One command of ``kubectl blockqnn``."""

    name: str
    text: str
    """Description of the command, in one line."""
    run: Callable[[Context], int]
    """Runs the command; returns the exit status."""
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    """Declares the arguments of this command alone."""
    of_search: bool = True
    """True if the first argument is the NAME of a search in a cluster."""
