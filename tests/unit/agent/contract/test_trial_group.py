"""Several trials in one process: what it is told and what it answers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_builders import A, B, make_proposal, make_result, make_search, make_settings

from blockqnn.block.nsc import Block
from blockqnn.contract.message import MESSAGE_LIMIT, RESULT_LIMIT, Outcome
from blockqnn.contract.trial import TrialResult, TrialSpec
from blockqnn.contract.trial_group import (
    MOST_BLOCKS_PER_JOB,
    TRIALS_VARIABLE,
    read_trials,
    result_texts,
    write_results,
    write_trials,
)
from blockqnn.errors import InvalidMessage
from blockqnn_operator.core.jobs.trial import trial_spec

LONGEST_VARIABLE = 128 * 1024
"""Longest environment variable in Linux, its name included (MAX_ARG_STRLEN)."""


def spec_of(trial: int, block: Block = A) -> TrialSpec:
    return trial_spec(make_search(), make_settings(), make_proposal(trial, block), 0)


def test_specifications_are_read_as_they_were_written() -> None:
    specs = (spec_of(4, A), spec_of(6, B))
    assert read_trials(write_trials(specs)) == specs


def test_the_most_and_longest_trials_fit_one_environment_variable() -> None:
    layers = "".join(f"({i},5,0,{i - 2},{i - 1})" for i in range(3, 23))
    block = Block.parse(f"(1,1,3,0,0)(2,1,3,1,0){layers}(23,7,0,0,0)")
    long = spec_of(0, block)
    dataset = long.dataset.model_copy(update={"name": "npz", "path": "/" + "ä" * 511})
    long = long.model_copy(
        update={"search": f"{'n' * 63}/{'s' * 40}", "dataset": dataset, "trial": 99_999}
    )
    text = f"{TRIALS_VARIABLE}={write_trials([long] * MOST_BLOCKS_PER_JOB)}"
    assert len(text.encode()) < LONGEST_VARIABLE / 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "The list of trial specifications is empty."),
        ("", "The list of trial specifications is wrong: Invalid JSON"),
        ("{}", "The list of trial specifications is wrong: Input should be a valid array"),
        (
            write_trials([spec_of(0), spec_of(1)]).replace('"trial":1', '"trial":-1'),
            "The list of trial specifications is wrong at 1.trial: Input should be greater than",
        ),
    ],
)
def test_what_is_no_list_of_trials_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InvalidMessage) as refused:
        read_trials(text)
    assert str(refused.value).startswith(said)


def usual(trial: int, epochs: int = 12) -> TrialResult:
    """Result of our trainer for a usual trial."""
    return make_result(
        trial,
        accuracy=0.8123456789,
        curve=tuple(round(0.1234567 + 0.001 * epoch, 6) for epoch in range(epochs)),
        parameters=2_414_788,
        macs=355_316_224,
        device="NVIDIA H200",
        seconds={"start": 4.123, "data": 0.234, "build": 0.345, "train": 123.456, "total": 130.1},
    )


def test_the_results_of_the_most_trials_of_12_epochs_fit_one_message_whole() -> None:
    results = [usual(99_000 + number) for number in range(MOST_BLOCKS_PER_JOB)]
    assert len(write_results(results).encode()) <= RESULT_LIMIT


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=MESSAGE_LIMIT)


@settings(deadline=None)
@given(st.lists(words, max_size=3), st.lists(st.floats(0, 1), max_size=12))
def test_each_result_comes_out_as_it_went_in(messages: list[str], curve: list[float]) -> None:
    results = [
        make_result(n, outcome=Outcome.INFEASIBLE, message=message, curve=tuple(curve))
        for n, message in enumerate(messages)
    ]
    try:
        text = write_results(results)
    except InvalidMessage:
        return
    texts = result_texts(text)
    assert {n: TrialResult.read(text) for n, text in texts.items()} == dict(enumerate(results))


def test_a_result_takes_no_more_room_when_it_is_taken_out() -> None:
    """Non-ASCII letters would, six bytes each, and a result that fitted would be refused."""
    longest = make_result(7, outcome=Outcome.INFEASIBLE, message="維" * MESSAGE_LIMIT)
    longest = longest.model_copy(update={"curve": tuple(1 / (3 + n) for n in range(90))})
    text = write_results([longest])
    assert len(result_texts(text)[7].encode()) < len(text.encode())
    assert TrialResult.read(result_texts(text)[7]) == longest


def test_too_many_results_are_refused_with_their_size() -> None:
    with pytest.raises(InvalidMessage, match=r"The trial results are \d+ bytes long; at most 3584"):
        write_results([usual(number, epochs=100) for number in range(4)])


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Traceback (most recent call last)",
        "null",
        "[]",
        '{"version":1}',
        '{"version":1,"results":{}}',
        "[" * 4096,
        make_result().write(),
    ],
)
def test_a_message_that_is_no_list_of_results_is_refused(message: str) -> None:
    with pytest.raises(InvalidMessage, match="are not a JSON object with a list of results"):
        result_texts(message)


def test_another_version_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="not of version 1"):
        result_texts('{"version":2,"results":[]}')


def test_what_names_no_trial_is_left_out_and_nonsense_is_left_to_be_refused() -> None:
    results = [7, {"trial": "4"}, {"trial": True}, {"trial": 5, "outcome": "Done!"}]
    texts = result_texts(json.dumps({"version": 1, "results": results}))
    assert dict(texts) == {5: '{"trial":5,"outcome":"Done!"}'}
