"""Reads YAML with the line of every field.

Values are read as ``kubectl`` reads them: ``1e-8`` is a number and a date is a string, unlike in
PyYAML's own reading. Nothing is built before it is counted, so that no file, however it is made,
takes more memory than its own size warrants.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from blockqnn_cli.errors import CommandError
from blockqnn_cli.validation.scalars import TAG, NotAScalar, read_scalar, unknown_tag

Path = tuple[str | int, ...]
"""Path of a field: the keys and positions that lead to it."""

LARGEST_FILE = 2 * 1024 * 1024
"""Bytes of the largest file: etcd stores no object above 1.5 MiB, and more would take minutes."""

MOST_VALUES = 100_000
"""The most values of a file, with those that its aliases repeat: ten times the fields of the
largest definition of a resource."""

DEEPEST = 150
"""The deepest nesting: twice that of any object that people write, and half of what Python's stack
allows the programs that read it."""


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
    """A file that is no YAML, or more of it than any search needs."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def decoded(content: bytes) -> str:
    """Return the text of a file.

    Raises:
        Unreadable: when it is too large, or not encoded in UTF-8.
    """
    if len(content) > LARGEST_FILE:
        raise Unreadable(
            f"This file has more than {LARGEST_FILE // 1024**2} MiB, and Kubernetes stores no "
            "object of that size; put each search into a file of its own.",
            1,
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"This is not UTF-8: the byte 0x{content[error.start]:02x} begins no character. Save "
            "the file in the encoding UTF-8.",
            content.count(b"\n", 0, error.start) + 1,
        ) from None


def documents(text: str) -> Iterator[Document]:
    """Yield the documents of a text; empty ones are left out.

    Raises:
        Unreadable: when it is not YAML, or has too many values, with the line of the error.
    """
    # kubectl reads a file that begins with a brace as JSON, in which two escapes may stand for one
    # character.
    is_json = text.lstrip("\ufeff \t\r\n").startswith("{")
    try:
        reader = _Reader(text.translate(_JSON_ONLY) if is_json else text)
    except yaml.reader.ReaderError as error:
        raise Unreadable(
            f"The character U+{ord(text[error.position]):04X} cannot be in a YAML file; remove it.",
            text.count("\n", 0, error.position) + 1,
        ) from None
    try:
        while reader.check_node():
            node = reader.get_node()
            document = _document(node, is_json=is_json) if node is not None else None
            if document is not None and document.value is not None:
                yield document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(
            f"This is not YAML: {error.problem or error.context}; check the indentation and the "
            "quotes around here.",
            mark.line + 1 if mark else 1,
        ) from None
    except (ValueError, OverflowError):
        # PyYAML reads numbers of escapes and directives without a look at their size.
        raise Unreadable(
            "This is not YAML: there is a directive or an escape with a number that means nothing; "
            "correct it.",
            reader.line + 1,
        ) from None
    finally:
        reader.dispose()


_JSON_ONLY = {
    ord("\t"): " ",
    **{number: f"\\u{number:04x}" for number in (0x7F, *range(0x80, 0xA0), 0x2028, 0x2029)},
    **{number: f"\\u{number:04x}" for number in (0xFFFE, 0xFFFF)},
}
"""Characters that JSON may have between its tokens or in its strings, unlike YAML, and what means
the same in both."""


class _Reader(yaml.SafeLoader):
    """Composes nodes with scalars as Kubernetes tells them apart, and counts what it composes."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def __init__(self, text: str) -> None:
        self._values = self._depth = 0
        self._sizes: dict[str | None, int | None] = {}
        super().__init__(text)

    def compose_document(self) -> yaml.Node | None:
        """Compose a document, whose anchors are its own."""
        self._sizes = {}
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, if that makes neither too many values nor too deep ones."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        before = self._values
        if isinstance(event, yaml.AliasEvent):
            size = self._sizes.get(event.anchor, 1)
            if size is None:
                raise Unreadable(
                    "An alias refers to a value that contains it; write the value out.", line
                )
            self._count(size, line)
            return super().compose_node(parent, index)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._sizes[anchor] = None
        self._count(1, line)
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(
                f"Values are nested more than {DEEPEST} deep here, deeper than any field of a "
                "BlockSearch; write them flatter.",
                line,
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        if anchor is not None:
            self._sizes[anchor] = self._values - before
        return node

    def _count(self, more: int, line: int) -> None:
        self._values += more
        if self._values > MOST_VALUES:
            raise Unreadable(
                f"There are more than {MOST_VALUES:,} values up to here, with those that aliases "
                "repeat; put each search into a file of its own, and write fewer aliases.",
                line,
            )


_SCALARS = {
    f"{TAG}bool": (r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON"
                               r"|off|Off|OFF)$", "yYnNtTfFoO"),
    f"{TAG}int": (r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)$", "-+0123456789"),
    f"{TAG}float": (
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)$"
        r"|^[-+]?[0-9]*\.[0-9]+[eE][-+]?[0-9]+$",
        "-+.0123456789",
    ),
    f"{TAG}null": (r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    f"{TAG}merge": (r"^<<$", "<"),
}  # fmt: skip
for _tag, (_pattern, _first) in _SCALARS.items():
    _Reader.add_implicit_resolver(
        _tag, re.compile(_pattern), [*_first.replace("\0", ""), ""] if "\0" in _first else _first
    )


def _document(node: yaml.Node, *, is_json: bool) -> Document:
    builder = _Builder(is_json=is_json)
    return Document(builder.build(node, ()), builder.lines, builder.repeated)


_MERGE = f"{TAG}merge"
_COLLECTIONS = (f"{TAG}map", f"{TAG}seq")


class _Builder:
    """Builds the value of a document, and notes the line of every field."""

    def __init__(self, *, is_json: bool) -> None:
        self.lines: dict[Path, int] = {}
        self.repeated: dict[Path, int] = {}
        self._is_json = is_json

    def build(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of a node of JSON types."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            raise Unreadable(str(unknown_tag(node.tag)), node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, position)) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._map(node, path)
        return self._scalar(node)

    def _map(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                for fields in self._merged(value_node, path):
                    merged = {**fields, **merged}
                continue
            key = self._key(key_node)
            inner = (*path, key)
            if key in own:
                self.repeated[inner] = line
            self.lines[inner] = line
            own[key] = self.build(value_node, inner)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: Path) -> Iterator[dict[str, Any]]:
        """Yield the maps that ``<<`` adds the fields of, the first with precedence."""
        maps = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for part in maps:
            if not isinstance(part, yaml.MappingNode):
                raise Unreadable(
                    "`<<` adds the fields of another map, and this is none; give a map or an alias "
                    "of one.",
                    part.start_mark.line + 1,
                )
            yield self._map(part, path)

    def _key(self, node: yaml.Node) -> str:
        value = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, str):
            return value
        if value is None:
            raise Unreadable(
                "The name of a field is a map, a list or empty; write a text.",
                node.start_mark.line + 1,
            )
        return json.dumps(value)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return read_scalar(node.tag, node.value, is_json=self._is_json)
        except NotAScalar as error:
            raise Unreadable(str(error), node.start_mark.line + 1) from None
