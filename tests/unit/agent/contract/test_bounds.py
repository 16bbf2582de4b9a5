"""Results with any value in any field: each is one that can be stored, or is refused."""

import json
from typing import Any

import pytest
from hostile_values import changed, hostile
from hypothesis import example, given
from hypothesis import strategies as st

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import ResultMessage
from blockqnn.contract.trial import TrialResult
from blockqnn.contract.trial_group import result_texts
from blockqnn.errors import InvalidMessage

TRIAL: dict[str, Any] = {
    "version": 1,
    "trial": 0,
    "attempt": 0,
    "blockHash": "0123456789abcdef",
    "outcome": "Succeeded",
    "reason": "Completed",
    "message": "",
    "accuracy": 0.5,
    "stoppedAfter": 3,
    "curve": [0.1, 0.5],
    "parameters": 1000,
    "macs": 1000,
    "restarts": 0,
    "device": "cpu",
    "seconds": {"total": 1.5, "train": 1.0},
}
FINALIST: dict[str, Any] = {
    **{name: value for name, value in TRIAL.items() if name not in ("restarts", "stoppedAfter")},
    **{"target": "", "seed": 0, "epoch": 3, "epochs": 3, "resumed": 0, "damagedCheckpoints": 0},
    **{"processes": 1, "folder": "a/b", "top5Accuracy": 0.9},
}


def numbers(value: Any) -> list[float]:
    """All numbers in a value."""
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in numbers(inner)]
    return [value] if isinstance(value, int | float) else []


def check(kind: type[ResultMessage], document: Any) -> None:
    try:
        result = kind.read(json.dumps(document))
    except InvalidMessage as refusal:
        result, words = None, str(refusal)
    if result is None:
        assert words.endswith(".")
        words.encode()
        return
    stored = json.loads(result.write())
    assert all(0 <= number < 2**63 for number in numbers(stored))
    assert "\\u0000" not in result.write()


@given(hostile(TRIAL))
@example(changed(TRIAL, ("parameters",), 10**30))
@example(changed(TRIAL, ("seconds", "total"), 1.5e308))
def test_any_result_of_a_trial_can_be_stored_or_is_refused(document: Any) -> None:
    check(TrialResult, document)


@given(hostile(FINALIST))
def test_any_result_of_a_finalist_can_be_stored_or_is_refused(document: Any) -> None:
    check(FinalistResult, document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((("parameters",), 10**30), (("parameters",), 1e30), (("macs",), 2**63)),
        *((("seconds", "total"), 1.5e308), (("trial",), 2**40), (("stoppedAfter",), 2**40)),
        (("message",), "\ud800"),
    ],
)
def test_what_is_too_large_or_no_text_is_refused(path: tuple[str], value: Any) -> None:
    with pytest.raises(InvalidMessage, match=r"^The trial result is "):
        TrialResult.read(json.dumps(changed(TRIAL, path, value)))


@given(st.lists(hostile(TRIAL), max_size=3))
def test_any_list_of_results_is_split_or_refused(documents: Any) -> None:
    try:
        texts = result_texts(json.dumps({"version": 1, "results": documents}))
    except InvalidMessage:
        return
    for text in texts.values():
        try:
            TrialResult.read(text)
        except InvalidMessage as refusal:
            str(refusal).encode()


@pytest.mark.parametrize("words", ["a\0b", "a\ud800b"])
def test_words_that_are_no_text_cost_no_result(words: str) -> None:
    result = TrialResult.model_validate({**TRIAL, "message": words, "device": words})
    assert (result.message, result.device) == ("a?b", "a?b")
    assert TrialResult.read(result.write()) == result
