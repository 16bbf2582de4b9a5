"""Suggests the name that somebody meant. Pure."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.75
"""Share of the letters that two names have in common, from which one is taken for the other."""

LONGEST = 100
"""Letters of the longest name that is compared, which takes the square of them in steps."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that another was probably meant to be; None when there is none alike.

    Args:
        name: the name that is not among the others.
        names: the names that there are.
    """
    by_letters = {_letters(candidate): candidate for candidate in sorted(names, reverse=True)}
    letters = _letters(name)
    if letters in by_letters:
        return by_letters[letters]
    close = get_close_matches(letters[:LONGEST], by_letters, n=1, cutoff=ALIKE)
    return by_letters[close[0]] if close else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
