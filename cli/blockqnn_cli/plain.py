"""Text of others on its way to a terminal or a spreadsheet: nothing in it may act there. Pure.

A record, a name or an answer of the API server is written by others. All output goes through
:func:`plain`, or in CSV through :func:`cell`, where it leaves the program.
"""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_COLOURS = re.compile("\x1b\\[[0-9;:]*[mK]")
"""Sequences of colours, and those that clear a line for another: they carry no text."""

_ACTING = re.compile(
    # Control characters but tab and the end of a line; DEL and the second set of them.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    # Ends of lines and of paragraphs, directions of text, and halves of characters.
    "\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001
"""First characters of a cell from which a spreadsheet takes it for a formula."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


def plain(text: str) -> str:
    """Return a text without colours, its other control characters written as escapes.

    Tabs and ends of lines stay.
    """
    return _ACTING.sub(_written_out, _COLOURS.sub("", text))


def one_line(text: str) -> str:
    """Return a text as :func:`plain` does, in one line."""
    return plain(" ".join(text.split()))


def cell(value: str | float | None) -> str | float | None:
    """Return the value of a cell of CSV; a text that a spreadsheet would calculate is quoted."""
    if not isinstance(value, str):
        return value
    is_formula = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{plain(value)}" if is_formula else plain(value)


def _written_out(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


class PlainConsole(Console):
    """A console that writes its own control sequences, and no other."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of something to show, their texts as :func:`plain` writes them."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else plain(text), style, control)
