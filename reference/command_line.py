"""The page of the options of every program, from their parsers."""

import argparse
import re

from blockqnn_cli.__main__ import parser as kubectl_parser
from blockqnn_cli.commands import all_commands
from blockqnn_cli.errors import ExitStatus
from blockqnn_operator.shell.options import parser as operator_parser
from blockqnn_trainer.__main__ import parser as trainer_parser
from reference import markdown
from reference.docstrings import attribute_docstrings
from reference.markdown import code, single, table

_INTRODUCTION = """\
[Use the command line](../tasks/use-the-command-line.md) explains the commands of `kubectl blockqnn`
by what you want to do, with their formats and the rights that they need.
"""


def page() -> str:
    """Return the page."""
    parts = []
    for parser in (kubectl_parser(all_commands()), operator_parser(), trainer_parser()):
        parts += [f"## {parser.prog}", parser.description or "", *_program(parser)]
        if parser.prog.startswith("kubectl"):
            parts += ["### Exit statuses", "They are never renumbered.", _statuses()]
    return markdown.page("Command line", _INTRODUCTION, *parts)


def _program(parser: argparse.ArgumentParser) -> list[str]:
    parts = [_arguments(parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                parts += [f"### {parser.prog} {name}", _help(action, name), _arguments(command)]
    return parts


def _help(action: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str) -> str:
    (text,) = (choice.help for choice in action._choices_actions if choice.dest == name)
    return f"{(text or '')[:1].upper()}{(text or '')[1:]}."


def _arguments(parser: argparse.ArgumentParser) -> str:
    rows = [
        [_names(action), _default(action), _meaning(action)]
        for action in parser._actions
        if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))
    ]
    return table(["argument", "default", "meaning"], rows) if rows else ""


def _names(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else _metavar(action)
    if not action.option_strings:
        return code(value)
    names = ", ".join(map(code, action.option_strings))
    return f"{names} {code(value)}".strip()


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.metavar or action.dest.upper().replace("-", "_")


def _default(action: argparse.Action) -> str:
    if action.default in (None, False, [], argparse.SUPPRESS) or action.required:
        return ""
    if isinstance(action.default, list):
        return code(" ".join(map(str, action.default)))
    return code(str(action.default))


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(prog)s", "the program")
    return re.sub(r" \(default: [^)]*\)$", "", text) if _default(action) else text


def _statuses() -> str:
    texts = attribute_docstrings(ExitStatus)
    rows = [[str(int(status)), single(texts[status.name])] for status in ExitStatus]
    return table(["status", "meaning"], rows)
