"""Answers of the API server, read whatever is in them.

A user may nest a Pod template as deeply as the API server lets pass, which is deeper than Python
reads; a proxy in front of the API server may answer with a page of its own.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

from blockqnn_operator.errors import AnswerUnreadable

Json = dict[str, Any]


class Answer(dict[str, Any]):
    """An object that the API server returned, and its words about the request."""

    warnings: tuple[str, ...] = ()
    """Its warnings, such as that a field is deprecated."""


_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')

DEEPEST = 100
"""Levels of maps and lists that are kept of an answer that is nested too deeply; what is below them
is left out. No field that the operator reads is so deep."""

LONGEST_LINE = 16 * 2**20
"""The longest event of a watch, in bytes: the API server stores no object above 1.5 MiB, and JSON
takes up to six bytes for a character."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
"""A string of JSON as a unit, or what begins or ends a map or a list."""


def read_answer(text: bytes, deepest: int | None = None) -> Json:
    """Read a JSON object.

    Args:
        text: the JSON.
        deepest: the number of levels to keep; None to cut off only what Python cannot read.

    Raises:
        AnswerUnreadable: when it is no JSON, or no object.
    """
    try:
        answer = _read(text, deepest)
    except (ValueError, RecursionError) as error:
        raise AnswerUnreadable(f"An answer is no JSON: {error}.") from None
    if not isinstance(answer, dict):
        raise AnswerUnreadable("An answer is no JSON object.")
    return answer


def read_warnings(headers: Iterable[str]) -> tuple[str, ...]:
    """Read the texts of ``Warning`` headers, as RFC 7234 writes them."""
    texts = (text for header in headers for text in _WARNING.findall(header))
    return tuple(re.sub(r"\\(.)", r"\1", text) for text in texts)


def read_event(line: bytes, deepest: int | None = None) -> Json:
    """Read an event of a watch: its type, and an object with metadata or an error.

    Raises:
        AnswerUnreadable: when it is none.
    """
    event = read_answer(line, deepest)
    body = event.get("object")
    if not isinstance(event.get("type"), str) or not isinstance(body, dict):
        raise AnswerUnreadable("A watch brought something that is no event.")
    return event


def _read(text: bytes, deepest: int | None) -> Any:
    try:
        answer = json.loads(text)
    except RecursionError:
        return json.loads(cut(text.decode(), deepest or DEEPEST))
    if deepest is not None and is_deeper(answer, deepest):
        return json.loads(cut(text.decode(), deepest))
    return answer


def is_deeper(value: Any, levels: int) -> bool:
    """Return whether maps and lists are nested more deeply than some levels."""
    layer = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        below: list[Any] = []
        for item in layer:
            below += item.values() if isinstance(item, dict) else item
        layer = [item for item in below if isinstance(item, dict | list)]
        if not layer:
            return False
    return bool(layer)


def cut(text: str, deepest: int) -> str:
    """Return JSON without the maps and lists below some levels; a null stands for each of them."""
    pieces, depth, begin = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            if depth == deepest:
                pieces += [text[begin : token.start()], "null"]
            depth += 1
        elif token[0] in "]}":
            depth -= 1
            if depth == deepest:
                begin = token.end()
    return "".join([*pieces, text[begin:] if depth <= deepest else ""])


class Chunks(Protocol):
    """The body of an answer, as it arrives."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Yield what has arrived, whenever something has."""


async def lines_of(content: Chunks) -> AsyncIterator[bytes]:
    """Yield the complete lines of a watch; a line that is cut off at the end is dropped.

    Raises:
        AnswerUnreadable: when a line is longer than :data:`LONGEST_LINE`.
    """
    parts: list[bytes] = []
    length = 0
    async for chunk in content.iter_any():
        *complete, rest = chunk.split(b"\n")
        for end in complete:
            yield b"".join([*parts, end])
            parts, length = [], 0
        parts.append(rest)
        length += len(rest)
        if length > LONGEST_LINE:
            raise AnswerUnreadable(
                f"An event of a watch is longer than {LONGEST_LINE} bytes; no API server stores "
                "such an object."
            )
