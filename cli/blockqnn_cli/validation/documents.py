"""Reads YAML with the line of every field.

Values are read as ``kubectl`` reads them: ``1e-8`` is a number and a date is a string, unlike in
PyYAML's own reading.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from blockqnn_cli.errors import CommandError

Path = tuple[str | int, ...]
"""Path of a field: the keys and positions that lead to it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    value: Any
    lines: Mapping[Path, int]
    """The line of each field, from 1; for a field of a map that of its key."""
    repeated: Mapping[Path, int] = field(default_factory=dict)
    """The line of each key that occurs a second time in its map."""

    def line(self, path: Path) -> int:
        """Return the line of a field, or of the innermost part of its path that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class Unreadable(CommandError):
    """A file that is no YAML."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Reads scalars as Kubernetes does."""


_SCALARS = {
    "tag:yaml.org,2002:bool": (r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON"
                               r"|off|Off|OFF)$", "yYnNtTfFoO"),
    "tag:yaml.org,2002:int": (r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)$", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)$"
        r"|^[-+]?[0-9]*\.[0-9]+[eE][-+]?[0-9]+$",
        "-+.0123456789",
    ),
    "tag:yaml.org,2002:null": (r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    "tag:yaml.org,2002:merge": (r"^<<$", "<"),
}  # fmt: skip
_Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        _tag, re.compile(_pattern), [*_first.replace("\0", ""), ""] if "\0" in _first else _first
    )


def documents(text: str) -> Iterator[Document]:
    """Yield the documents of a text; empty ones are left out.

    Raises:
        Unreadable: when it is not YAML, with the line of the error.
    """
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise Unreadable(f"This is not YAML: {' '.join(str(error).split())}.", 1) from None
    try:
        while loader.check_node():
            node = loader.get_node()
            document = _document(loader, node) if node is not None else None
            if document is not None and document.value is not None:
                yield document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(
            f"This is not YAML: {error.problem or error.context}; check the indentation and the "
            "quotes around here.",
            mark.line + 1 if mark else 1,
        ) from None
    finally:
        loader.dispose()


def _document(loader: _Loader, node: yaml.Node) -> Document:
    lines = _Lines()
    # Before construction, which moves the keys of merged maps into their place.
    lines.walk(node, ())
    return Document(loader.construct_document(node), lines.first, lines.repeated)


class _Lines:
    """Notes the line of every field of a document."""

    def __init__(self) -> None:
        self.first: dict[Path, int] = {}
        self.repeated: dict[Path, int] = {}
        self._above: set[int] = set()

    def walk(self, node: yaml.Node, path: Path) -> None:
        """Note the lines of a node and of all below it."""
        line = node.start_mark.line + 1
        if id(node) in self._above:
            raise Unreadable(
                "An alias refers to a value that contains it; write the value out.", line
            )
        self._above.add(id(node))
        self.first.setdefault(path, line)
        if isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                self.walk(item, (*path, position))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                if inner in self.first:
                    self.repeated[inner] = key.start_mark.line + 1
                self.first[inner] = key.start_mark.line + 1
                self.walk(value, inner)
        self._above.remove(id(node))
