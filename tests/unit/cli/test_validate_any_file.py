"""`kubectl blockqnn validate` survives every file, and reads values as the API server does."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from repository_paths import ROOT

from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.validation.checks import Checked, check, check_file
from blockqnn_cli.validation.documents import (
    DEEPEST,
    LARGEST_FILE,
    MOST_VALUES,
    Unreadable,
    documents,
)

EXAMPLES = [path.read_bytes() for path in sorted((ROOT / "examples").rglob("*.yaml"))]

SEARCH = """\
apiVersion: blockqnn.dev/v1alpha1
kind: BlockSearch
metadata: {name: birds}
spec:
  dataset: {name: digits}
"""

FRAGMENTS = [
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2J", b"\t", b"\r", b"\n", b"&a ", b"*a ", b"<<: *a",
    b"{", b"}", b"[", b"]", b": ", b"? ", b"- ", b"#", b"|", b">", b"'", b'"', b"%YAML 99999.1\n",
    b"---\n", b"...\n", b"!!int x", b"!!float 1:2", b"!!bool maybe", b"!!binary x", b"!!set {a}",
    b"!!timestamp 2001-01-01", b"!!python/object:os.system x", b"!x ", b"!<", b"9" * 5000,
    b"-0x" + b"f" * 900, b"1e999", b"-1e-999", b".5", b"1_0", b".inf", b".nan", b"~", b"null",
    b'"\\ud83d"', b'"\\ud83d\\ude00"', b'"\\U00110000"', b'"\\Uffffffff"', b'"\\x"',
    b"\xe2\x80\xa8", b"{a: b}: c", b"[a]: b", b"1: 2", b"true: x", b"null: y", b"spec: []",
    b"metadata: 7\n",
    b"kind: BlockSearch\n", b"items: [{kind: BlockSearch}]\nkind: List\n",
]  # fmt: skip
"""Parts that are hard to read, in YAML, in JSON, in Python, or for Kubernetes."""


def assert_told(checked: tuple[Checked, ...], content: bytes) -> None:
    lines = content.count(b"\n") + content.count(b"\r") + content.count(b"\xe2\x80") + 2
    for search in checked:
        for problem in search.problems:
            assert 1 <= problem.line <= lines
            assert problem.message.endswith((".", "?"))
            assert len(problem.message) < 1_100


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_answered(content: bytes) -> None:
    assert_told(check_file(content), content)


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=12).map(b"".join))
@settings(max_examples=300, deadline=None)
def test_any_fragments_are_answered(content: bytes) -> None:
    assert_told(check_file(content), content)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a manifest in which parts are replaced by fragments, and parts are doubled."""
    content = draw(st.sampled_from([SEARCH.encode(), *EXAMPLES]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 12)))
        part = draw(st.sampled_from([*FRAGMENTS, content[start:stop] * 2]))
        content = content[:start] + part + content[stop:]
    return content


@given(mutated())
@example(b"a: *" + b"a" * 5000)
@example(b'{"kind": "BlockSearch", "' + b"a" * 5000 + b'": 1}')
@settings(max_examples=300, deadline=None)
def test_any_mutated_manifest_is_answered(content: bytes) -> None:
    assert_told(check_file(content), content)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), inner)
    ),
    max_leaves=20,
)


@given(JSON, st.booleans(), st.sampled_from([None, 2, "\t"]))
@example({"a": "\x7f\x85\u2028\ufffe😀"}, False, None)
@settings(max_examples=300, deadline=None)
def test_json_is_read_as_what_it_means(value: object, escaped: bool, indent: int | str) -> None:
    text = json.dumps({"value": value}, ensure_ascii=escaped, indent=indent)
    (document,) = documents(text)
    assert document.value == {"value": value}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_an_image_with_any_characters_is_read_by_the_escapes_of_json(name: str) -> None:
    search = {
        "apiVersion": "blockqnn.dev/v1alpha1",
        "kind": "BlockSearch",
        "metadata": {"name": "birds"},
        "spec": {"dataset": {"name": "digits"}, "trial": {"image": f"a{name}"}},
    }
    (checked,) = check(json.dumps(search))
    assert not checked.problems


def test_half_a_character_is_none() -> None:
    (document,) = documents('{"a": "x\\ud83dy"}')
    assert document.value == {"a": "x\ufffdy"}
    with pytest.raises(Unreadable, match="names half a character; write the character itself"):
        list(documents('a: "\\ud83d\\ude00"'))


@given(st.integers(2, 9), st.integers(2, 60), st.booleans())
@example(9, 30, False)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_repeated_aliases_take_no_memory(width: int, depth: int, merged: bool) -> None:
    lines = [f"a0: &a0 {{{', '.join(f'k{n}: x' for n in range(width))}}}"]
    for level in range(1, depth):
        aliases = ",".join(f"*a{level - 1}" for _ in range(width))
        lines.append(f"a{level}: &a{level} {{<<: [{aliases}]}}" if merged
                     else f"a{level}: &a{level} [{aliases}]")  # fmt: skip
    tracemalloc.start()
    try:
        checked = check("\n".join([*lines, "kind: BlockSearch"]))
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()
    if width**depth > MOST_VALUES:
        assert "more than 100,000 values up to here" in checked[0].problems[0].message


def _nested(depth: int) -> Iterator[str]:
    yield (
        SEARCH + "  trial: {podTemplate: {spec: {zz: " + "{a: " * depth + "1" + "}" * depth + "}}}"
    )
    yield SEARCH + "  trial: {podTemplate: {spec: {zz: " + "[" * depth + "]" * depth + "}}}"
    yield SEARCH + "  seed:\n" + "".join(f"{' ' * (4 + n)}a:\n" for n in range(depth))
    yield SEARCH + "  seed: " + "- " * depth
    yield "[" * depth
    yield '{"a":' * depth


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 3_000])
def test_deep_nesting_is_one_sentence_with_its_line(depth: int) -> None:
    for text in _nested(depth):
        ((problem,),) = [search.problems for search in check(text)]
        assert problem.message.endswith(".")
    for text in ("[" * depth, '{"a":' * depth):
        ((problem,),) = [search.problems for search in check(text)]
        assert "nested more than 150 deep" in problem.message


@pytest.mark.parametrize("content", [b"{", b""], ids=["json", "yaml"])
@given(st.integers(1, 6_000), st.sampled_from(["9", "-9", "0x", "1.", "1e", "1e-"]))
@settings(deadline=None)
def test_a_number_of_any_length_is_read_or_told(content: bytes, digits: int, begin: str) -> None:
    number = begin + "9" * digits
    text = f'{{"a": {number}}}' if content else f"a: {number}"
    (checked,) = check(f"{text}\nkind: BlockSearch" if not content else text) or (None,)
    value, problems = number_of(text)
    # The answers of the checks show values, which Python refuses for long numbers.
    assert len(repr(value)) < 50
    assert problems == [] or (value is None and problems[0].startswith("The number '"))
    assert checked is None or checked.problems


def number_of(text: str) -> tuple[int | float | None, list[str]]:
    try:
        (document,) = documents(text)
    except Unreadable as error:
        return None, [str(error)]
    return document.value["a"], []


def test_a_number_above_those_of_kubernetes_is_a_fraction() -> None:
    (document,) = documents(f"[{2**64 - 1}, {2**64}, {-(2**63)}, {-(2**63) - 1}]")
    assert [type(number) for number in document.value] == [int, float, int, float]


FILES = [
    (b"\xff\xfek\0i\0n\0d\0", 1, "This is not UTF-8: the byte 0xff begins no character."),
    (SEARCH.encode() + b"  # caf\xe9\n", 6, "This is not UTF-8: the byte 0xe9 begins"),
    (SEARCH.encode() + b"  seed: \0\n", 6, "The character U+0000 cannot be in a YAML file"),
    (b"a: 1\n" * MOST_VALUES, 50_000, "There are more than 100,000 values up to here"),
    (b"#" * LARGEST_FILE + b"#", 1, "This file has more than 2 MiB"),
    (b"a: !!set {x}\n", 1, "The tag 'tag:yaml.org,2002:set' means a type that Kubernetes"),
    (b"a:\n  ? [x]\n  : y\n", 2, "The name of a field is a map, a list or empty"),
    (b"a: 1\nb: {<<: x}\n", 2, "`<<` adds the fields of another map, and this is none"),
]


@pytest.mark.parametrize(("content", "line", "message"), FILES)
def test_a_file_that_cannot_be_read_ends_the_command_with_one(
    content: bytes, line: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    assert main(["validate", str(file)]) == ExitStatus.FAILED
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{file}:{line}: {message}")
    assert captured.out.count("\n") == 1
    assert not captured.err


def test_a_file_without_an_end_is_read_no_further_than_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["validate", "/dev/zero"]) == ExitStatus.FAILED
    assert "more than 2 MiB" in capsys.readouterr().out


def test_names_that_are_no_text_are_read_as_kubernetes_does() -> None:
    (document,) = documents("{1: a, true: b, 1.5: c}")
    assert document.value == {"1": "a", "true": "b", "1.5": "c"}


def test_merged_fields_are_read_with_their_precedence() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\nd: {z: 3, <<: *b}"
    (document,) = documents(text)
    assert document.value["c"] == {"x": 1, "y": 1, "z": 3}
    assert document.value["d"] == {"y": 2, "z": 3}
