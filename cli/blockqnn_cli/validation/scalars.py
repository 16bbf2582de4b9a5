"""Reads a scalar of YAML as the API server receives it. Pure."""

import math
import re
from collections.abc import Callable
from typing import Any

TAG = "tag:yaml.org,2002:"

MOST_DIGITS = 400
"""Characters of the longest number: the largest one that a computer calculates with has 309 digits
before its point."""

_LARGEST = 2**64
"""Whole numbers from here on, and the negative ones below half of it, are read as fractions."""

_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")


class NotAScalar(ValueError):
    """A scalar that no value of JSON stands for; its text is a complete sentence."""


def read_scalar(tag: str, text: str, *, is_json: bool = False) -> Any:
    """Return the value of a scalar.

    Args:
        tag: the type that YAML says it has.
        text: its text, without quotes.
        is_json: whether the file is JSON, where two escapes may stand for one character.

    Raises:
        NotAScalar: saying what is wrong.
    """
    reader = _READERS.get(tag.removeprefix(TAG))
    if reader is None:
        raise unknown_tag(tag)
    if reader is not _text:
        return reader(text)
    return _joined(text) if is_json else _text(text)


def unknown_tag(tag: str) -> NotAScalar:
    """Return the error of a value whose tag names a type that Kubernetes does not have."""
    return NotAScalar(
        f"The tag {_brief(tag)} means a type that Kubernetes does not have; remove it."
    )


def _text(text: str) -> str:
    if _SURROGATES.search(text):
        raise NotAScalar(
            r"An escape such as \ud83d names half a character; write the character itself, or "
            r"its escape with eight digits such as \U0001f98a."
        )
    return text


def _joined(text: str) -> str:
    """Join the halves of characters; half a character alone is read as an unknown one."""

    def join(match: re.Match[str]) -> str:
        halves = match.group()
        if len(halves) == 1:
            return "\ufffd"
        return halves.encode("utf-16", "surrogatepass").decode("utf-16")

    return _SURROGATES.sub(join, text)


def _null(_text: str) -> None:
    """Read an empty value."""


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _BOOLEANS:
        raise NotAScalar(f"{_brief(text)} is neither true nor false; write one of them.")
    return _BOOLEANS[word]


_BOOLEANS = {
    **dict.fromkeys(("yes", "true", "on", "y"), True),
    **dict.fromkeys(("no", "false", "off", "n"), False),
}


def _whole(text: str) -> int | float:
    if len(text) > MOST_DIGITS:
        raise _too_long(text)
    try:
        number = int(text, 16 if "0x" in text else 10)
    except ValueError:
        raise _no_number(text) from None
    return number if -_LARGEST // 2 <= number < _LARGEST else _fraction(str(number))


def _fraction(text: str) -> float:
    if len(text) > MOST_DIGITS:
        raise _too_long(text)
    try:
        number = float(text)
    except ValueError:
        raise _no_number(text) from None
    if not math.isfinite(number):
        raise NotAScalar(
            f"The number {_brief(text)} is too large to calculate with; write a smaller one, or "
            "quote it if it is a text."
        )
    return number


def _too_long(text: str) -> NotAScalar:
    return NotAScalar(
        f"The number {_brief(text)} has {len(text):,} characters; write a shorter one, or quote it "
        "if it is a text."
    )


def _no_number(text: str) -> NotAScalar:
    return NotAScalar(f"{_brief(text)} is no number; correct it, or remove its tag.")


def _brief(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


_READERS: dict[str, Callable[[str], Any]] = {
    "str": _text,
    "null": _null,
    "bool": _boolean,
    "int": _whole,
    "float": _fraction,
    # The value of a key that is neither quoted nor the sign of a merge.
    "merge": _text,
}
