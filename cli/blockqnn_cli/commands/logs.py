"""``logs NAME TRIAL``: what the trainer of a trial wrote."""

import argparse
import io
import sys
from collections.abc import Mapping
from typing import Any

from blockqnn.contract.message import Outcome
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NotFound
from blockqnn_cli.plain import plain
from blockqnn_cli.view import SearchView


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trial", metavar="TRIAL", type=int, help="number of the trial, from 0")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="follow the log until the trial ends"
    )


def _run(context: Context) -> int:
    search, trial = context.search(), context.options.trial
    pod = context.searches.latest_pod(search, trial)
    if pod is None:
        raise NotFound(why_no_log(search, trial))
    # A bar of progress that is drawn over itself becomes lines.
    lines = io.IncrementalNewlineDecoder(None, translate=True)
    for part in context.searches.log(search, pod, follow=context.options.follow):
        sys.stdout.write(plain(lines.decode(part)))
        sys.stdout.flush()
    sys.stdout.write(plain(lines.decode("", final=True)))
    return ExitStatus.OK


def why_no_log(search: SearchView, trial: int) -> str:
    """Say why a trial has no Pod that could have a log."""
    if not 0 <= trial < len(search.records):
        return (
            f"Trial {trial} of {search.key} has no Pod: it has not started yet. `kubectl blockqnn "
            f"status {search.name} -n {search.namespace}` shows the progress of the search."
        )
    record = search.records[trial]
    if record.outcome is Outcome.CACHED:
        return (
            f"Trial {trial} of {search.key} never had a Pod: it shares the result of trial "
            f"{record.shared_with}, whose block means the same network."
        )
    said = f" ({record.reason}: {record.message})" if record.message else ""
    return (
        f"The Job of trial {trial} of {search.key} is gone; the trial ended as {record.outcome}"
        f"{said}. spec.trial.retain says how many Jobs are kept for their logs{_kept(search.spec)}."
    )


def _kept(spec: Mapping[str, Any]) -> str:
    retain = spec.get("trial", {}).get("retain")
    if not retain:
        return ""
    return f", here {retain.get('failed', 0)} failed and {retain.get('succeeded', 0)} succeeded"


COMMAND = Command("logs", "print the log of a trial", _run, _add_arguments)
