"""The commands, one module each. A module here that has a ``COMMAND`` is a command.

A command reads its options and the cluster, calls pure functions for what it shows, and prints.
"""

import importlib
import pkgutil

from blockqnn_cli.command import Command


def all_commands() -> list[Command]:
    """Return every command, by name."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    return sorted((module.COMMAND for module in modules), key=lambda command: command.name)
