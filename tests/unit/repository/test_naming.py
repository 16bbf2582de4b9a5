"""Names and docstrings of the repository's Python: a variable is named by what it holds."""

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from repository_paths import ROOT

BARE_WORDS = {"one", "found", "told", "known", "left", "place", "whole"}
"""Words that say nothing about what a variable holds."""

MOST_BARE_WORDS = 3
"""Fewer than this number of uses in 1,000 lines; Optuna has 0.9."""

QUESTION_WORDS = {"What", "How", "Whether", "Where"}
"""First words of a docstring that begins neither with a verb nor with a noun."""

MOST_QUESTIONS = 20


@cache
def sources() -> dict[str, str]:
    """Return the text of each tracked Python file, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout, so nobody can say which files are the project's")
    return {
        path: (ROOT / path).read_text()
        for path in listed.stdout.splitlines()
        if (ROOT / path).exists()
    }


def bare_words(text: str) -> Counter[str]:
    """Count the uses of variables and parameters that are named by a bare word."""
    nodes = list(ast.walk(ast.parse(text)))
    words = [node.id for node in nodes if isinstance(node, ast.Name)]
    words += [node.arg for node in nodes if isinstance(node, ast.arg)]
    return Counter(word for word in words if word in BARE_WORDS)


def docstrings(text: str) -> Iterator[str]:
    """Yield the texts that document a module, class, function, constant or field."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(body := getattr(node, "body", None), list):
            continue
        for index, statement in enumerate(body):
            if index and not isinstance(body[index - 1], ast.Assign | ast.AnnAssign):
                continue
            match statement:
                case ast.Expr(value=ast.Constant(value=str(documentation))):
                    yield documentation.strip()


def test_variables_are_named_by_what_they_hold() -> None:
    uses = {path: sum(bare_words(text).values()) for path, text in sources().items()}
    lines = sum(len(text.splitlines()) for text in sources().values())
    worst = sorted(uses, key=uses.__getitem__, reverse=True)[:5]
    per_thousand = 1000 * sum(uses.values()) / lines
    assert per_thousand < MOST_BARE_WORDS, f"most in {worst}"


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    questions = [
        f"{path}: {documentation.splitlines()[0]}"
        for path, text in sources().items()
        for documentation in docstrings(text)
        if documentation.split(maxsplit=1)[:1] and documentation.split()[0] in QUESTION_WORDS
    ]
    assert len(questions) < MOST_QUESTIONS, "\n".join(questions)


def test_bare_words_are_counted_as_variables_and_parameters_only() -> None:
    text = (
        "def left(one: int) -> int:\n    found = [known for known in one.found]\n    return found"
    )
    assert bare_words(text) == Counter({"one": 2, "found": 2, "known": 2})


def test_docstrings_of_constants_and_fields_are_read_too() -> None:
    text = (
        '"""A."""\nX = 1\n"""B."""\nclass C:\n    """D."""\n    y: int\n    """E."""\nprint()\n"f"'
    )
    assert sorted(docstrings(text)) == ["A.", "B.", "D.", "E."]
