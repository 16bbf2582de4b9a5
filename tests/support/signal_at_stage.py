"""A program that runs the trainer's command and sends itself SIGTERM where a function begins.

    python signal_at_stage.py MODULE:NAME COMMAND...

The function is wrapped before the command begins, so the signal comes at that stage on every
machine. What is signalled, and how it is answered, is the command's own.
"""

import os
import signal
import sys
import time
from functools import wraps
from importlib import import_module
from operator import attrgetter
from typing import Any

STAYS = 0.3
"""Seconds that a stage goes on after the signal, so that whoever answers at once can do so."""


def main(stage: str) -> None:
    module_name, _, name = stage.partition(":")
    *owner_names, attribute = name.split(".")
    module = import_module(module_name)
    owner: Any = attrgetter(".".join(owner_names))(module) if owner_names else module
    original = getattr(owner, attribute)
    sent: list[float] = []

    @wraps(original)
    def signalled(*arguments: Any, **options: Any) -> Any:
        if not sent:
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(STAYS)
        return original(*arguments, **options)

    setattr(owner, attribute, signalled)
    from blockqnn_trainer import __main__ as command

    command.main()


if __name__ == "__main__":
    _, where, *command_line = sys.argv
    sys.argv = ["blockqnn-train", *command_line]
    main(where)
