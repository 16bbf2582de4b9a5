"""JSON of the API server: whatever it is, it is read, cut or refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockqnn_operator.errors import AnswerUnreadable
from blockqnn_operator.shell.kubernetes.answers import cut, is_deeper, read_answer, read_warnings

TEXTS = st.text(st.sampled_from('"\\{}[]ab,: é\n'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


def shallow(value: Any, levels: int) -> Any:
    """The value without what is below some levels, by its definition."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return None
    if isinstance(value, dict):
        return {name: shallow(inner, levels - 1) for name, inner in value.items()}
    return [shallow(inner, levels - 1) for inner in value]


@given(VALUES, st.integers(0, 4))
def test_what_is_below_some_levels_is_left_out_and_nothing_else(value: Any, levels: int) -> None:
    assert json.loads(cut(json.dumps(value), levels)) == shallow(value, levels)
    assert is_deeper(value, levels) == (shallow(value, levels) != value)


@given(st.binary() | TEXTS.map(str.encode), st.none() | st.just(3))
def test_any_text_is_an_object_or_refused(text: bytes, deepest: int | None) -> None:
    try:
        answer = read_answer(text, deepest)
    except AnswerUnreadable:
        return
    assert isinstance(answer, dict)


@pytest.mark.parametrize("levels", [900, 3000, 10_000])
@pytest.mark.parametrize("deepest", [None, 100])
def test_no_depth_ends_anything(levels: int, deepest: int | None) -> None:
    text = '{"spec":' + '{"a":' * levels + "1" + "}" * levels + ',"kind":"BlockSearch"}'
    answer = read_answer(text.encode(), deepest)
    assert answer["kind"] == "BlockSearch"
    assert is_deeper(answer, 100) == (levels == 900 and deepest is None)


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ('299 - "unknown field \\"spec.a\\""', ('unknown field "spec.a"',)),
        ('299 - "one", 299 - "two \\\\ three"', ("one", "two \\ three")),
        ("299", ()),
        ('199 - "stale"', ()),
    ],
)
def test_warnings_are_read_from_their_headers(header: str, texts: tuple[str, ...]) -> None:
    assert read_warnings([header]) == texts
