"""Hostile values, and objects that have one in any place."""

import copy
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

Path = tuple[str | int, ...]

NESTED: Any = 1
for _ in range(400):
    NESTED = {"a": [NESTED]}

HOSTILE = [
    *("", "abc", "²", "-1", "1e30", "9" * 5000, "\ud800", "\x00", "a" * 70_000),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "2024-05-01", "2024-05-01T12:00:00"),
    *('{"version":1', "[" * 5000, '{"version":1,"trial":1e400}', '"\\ud800"'),
    *(-1, 2**31, 2**63, 10**400, 0.5, 1.5e308, math.inf, math.nan, True, None),
    *([], {}, [None], [1], {"a": 1}, [[]], NESTED),
]
"""Values that a field may have, however unlikely: of other types, sizes, signs and encodings."""


def paths_of(value: Any, around: Path = ()) -> Iterator[Path]:
    """Yield the path of each value inside maps and lists."""
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for step, inner in entries:
        yield (*around, step)
        yield from paths_of(inner, (*around, step))


def changed(body: Json, path: Path, value: Any) -> Json:
    """Return an object with another value at a path."""
    result = copy.deepcopy(body)
    around: Any = result
    for step in path[:-1]:
        around = around[step]
    around[path[-1]] = value
    return result


def hostile(body: Json) -> st.SearchStrategy[Json]:
    """Objects that are as this one but for one value."""
    places = st.sampled_from(list(paths_of(body)))
    return st.builds(changed, st.just(body), places, st.sampled_from(HOSTILE))
