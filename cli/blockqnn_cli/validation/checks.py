"""Checks the BlockSearches of a text: schema, rules, and what the operator would refuse."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from blockqnn.errors import InvalidSettings
from blockqnn_api import names
from blockqnn_api.advice import advise
from blockqnn_api.definition.cel_rules import RULES
from blockqnn_api.definition.crd import custom_resource_definition
from blockqnn_api.definition.rule import Rule
from blockqnn_api.durations import PATTERN, seconds
from blockqnn_api.errors import InvalidSearch, UnusedFields, write_path, write_value
from blockqnn_api.resolve import resolve
from blockqnn_api.resources import PodFinding
from blockqnn_api.spec import LONGEST_NAME
from blockqnn_cli.validation.documents import Document, Path, Unreadable, decoded, documents
from blockqnn_cli.validation.pods import check_pods
from blockqnn_cli.validation.schema import Finding, field_paths, findings, without_nulls

_TWICE = "is given twice; remove one of them"

LONGEST_SENTENCE = 1_000
"""Characters of the longest message; longer ones are cut in the middle."""

LONGEST_FIELD = 200
"""Characters of the longest path that a message names; longer ones are cut."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Problem in a file, with its line and field."""

    line: int
    field: str
    """The path of the field, such as ``spec.agent.batchSize``; empty for the whole document."""
    message: str
    """A sentence."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A BlockSearch of a file."""

    name: str
    line: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    """Settings that are valid but would serve the user badly."""


def check_file(content: bytes) -> tuple[Checked, ...]:
    """Check the BlockSearches of a file, as :func:`check` does; the file may be anything."""
    try:
        return check(decoded(content))
    except Unreadable as error:
        return (_unreadable(error),)


def check(text: str) -> tuple[Checked, ...]:
    """Check the BlockSearches of a text; other objects in it are left alone.

    Text that is no YAML counts as one nameless search with that problem.
    """
    checked: list[Checked] = []
    try:
        for document in documents(text):
            checked += [_checked(document, path) for path in _searches(document)]
    except Unreadable as error:
        checked.append(_unreadable(error))
    return tuple(checked)


def _unreadable(error: Unreadable) -> Checked:
    return Checked("", error.line, (Problem(error.line, "", _bounded(str(error))),))


def _bounded(sentence: str) -> str:
    """Cut the middle of a sentence that repeats more of the file than anybody reads."""
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    half = LONGEST_SENTENCE // 2
    return f"{sentence[:half]} ... {sentence[-half:]}"


def _searches(document: Document) -> Iterator[Path]:
    """Yield the paths of the BlockSearches in a document: itself, or the items of a List."""
    body = document.value
    if not isinstance(body, Mapping):
        return
    if body.get("kind") == names.KIND:
        yield ()
    items = body.get("items")
    if str(body.get("kind", "")).endswith("List") and isinstance(items, list):
        for position, item in enumerate(items):
            if isinstance(item, Mapping) and item.get("kind") == names.KIND:
                yield ("items", position)


def _checked(document: Document, path: Path) -> Checked:
    body = document.value
    for part in path:
        body = body[part]
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    stored = without_nulls(body, _schema())
    of_pods = list(check_pods(stored["spec"])) if isinstance(stored.get("spec"), Mapping) else []
    problems = [
        _problem(document, path, finding)
        for finding in (*_identity(body), *_all_findings(stored, of_pods))
    ]
    problems += [
        Problem(
            line, write_path(where), _sentence(Finding(where, "is given twice; remove one of them"))
        )
        for where, line in document.repeated.items()
        if where[: len(path)] == path
    ]
    ordered = sorted(problems, key=lambda problem: problem.line)
    warnings = [
        _problem(document, path, Finding(where, message))
        for where, message, fails in of_pods
        if not fails
    ]
    warnings += () if ordered else _advice(document, path, stored["spec"])
    return Checked(str(name or ""), document.line(path), tuple(ordered), tuple(warnings))


def _problem(document: Document, path: Path, finding: Finding) -> Problem:
    line = document.line(path + finding.path)
    return Problem(line, write_path(finding.path), _sentence(finding))


def _advice(document: Document, path: Path, spec: Mapping[str, Any]) -> Iterator[Problem]:
    advice = advise(spec, resolve(spec))
    if advice is not None:
        where = ("spec", *advice.field)
        yield Problem(document.line(path + where), write_path(where), advice.message)


def _sentence(finding: Finding) -> str:
    field = write_path(finding.path)
    if len(field) > LONGEST_FIELD:
        field = f"{field[: LONGEST_FIELD - 3]}..."
    end = "?" if finding.message.endswith("?") else "."
    return _bounded(f"{field} {finding.message}".strip().rstrip(".?") + end)


@cache
def _schema() -> Mapping[str, Any]:
    version = custom_resource_definition()["spec"]["versions"][0]
    schema: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]
    # Kubernetes knows the fields of metadata; the definition says nothing about them.
    return {
        **schema,
        "properties": {
            **schema["properties"],
            "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }


@cache
def _elsewhere() -> Mapping[str, str]:
    """Return the fields of a spec's sections, with their written paths, the nearest to it first."""
    spec = _schema()["properties"]["spec"]
    paths = sorted(field_paths(spec, ("spec",)), key=len, reverse=True)
    return {str(path[-1]): write_path(path) for path in paths}


def _all_findings(stored: Mapping[str, Any], of_pods: list[PodFinding]) -> Iterator[Finding]:
    wrong = [
        *findings(stored, _schema(), elsewhere=_elsewhere()),
        *_durations(stored),
        *(Finding(where, message) for where, message, fails in of_pods if fails),
    ]
    yield from wrong
    if not wrong:
        # A spec can be checked as a whole only if each of its fields is valid.
        yield from _whole(stored["spec"])


def _identity(body: Mapping[str, Any]) -> Iterator[Finding]:
    if body.get("apiVersion") != names.API_VERSION:
        yield Finding(
            ("apiVersion",),
            f"is {write_value(body.get('apiVersion'))}; it must be {names.API_VERSION}",
        )
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if name is None:
        if not (isinstance(metadata, Mapping) and metadata.get("generateName")):
            yield Finding(("metadata", "name"), "is missing")
        return
    where = ("metadata", "name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
        yield Finding(
            where,
            f"is {write_value(name)}; it must consist of lower-case letters, digits and hyphens, "
            "and begin and end with a letter or a digit",
        )
        return
    if len(name) > LONGEST_NAME:
        yield Finding(where, f"has {len(name)} characters; it must have at most {LONGEST_NAME}, "
                      "since the names of the trials' Jobs begin with it")  # fmt: skip
    if "." in name:
        yield Finding(where, f"is {name!r}; it must not contain a dot, since the names of the "
                      "trials' Pods begin with it")  # fmt: skip


def _durations(body: Mapping[str, Any]) -> Iterator[Finding]:
    """Check the fields that a rule of the definition says are durations."""
    for field, rules in RULES.items():
        path = tuple(field.split("."))
        if not any(is_duration(rule) for rule in rules):
            continue
        text: Any = body
        for part in path:
            text = text.get(part) if isinstance(text, Mapping) else None
        try:
            seconds(text if isinstance(text, str) else "1s")
        except InvalidSettings as error:
            remedy = str(error).rpartition("; ")[2].removesuffix(".")
            yield Finding(path, f"is {write_value(text)}; {remedy}")


def is_duration(rule: Rule) -> bool:
    """Return whether a rule says that its field is a duration."""
    return PATTERN in rule.rule


_FIELD = re.compile(r"\bspec(?:\.[A-Za-z0-9]+|\[[0-9]+\])+")
_STEP = re.compile(r"\.([A-Za-z0-9]+)|\[([0-9]+)\]")


def _whole(spec: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        resolve(spec)
    except UnusedFields as error:
        for unused in error.fields:
            yield Finding(("spec", *unused.path), f"{unused.reason}; {unused.remedy}")
    except InvalidSearch as error:
        # The sentence names its field; the finding has that path and the rest of the sentence.
        named = _FIELD.search(str(error))
        field = named.group() if named else ""
        steps = [name or int(position) for name, position in _STEP.findall(field)]
        yield Finding(("spec", *steps), _without_subject(str(error), field))


def _without_subject(sentence: str, subject: str) -> str:
    """Turn a sentence into the clause that completes the field's name."""
    if subject and sentence.startswith(f"{subject} "):
        return sentence.removeprefix(f"{subject} ")
    return f"cannot be run: {sentence}"
