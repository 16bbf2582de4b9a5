"""A search without one accuracy is no success, whatever it has used up."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from operator_builders import (
    BLOCKS,
    failed,
    make_job,
    make_observed,
    make_search,
    make_spec,
    make_state,
    succeeded,
)
from operator_plans import BAD, GOOD, UNFIT, condition, history_of, status_of

from blockqnn.contract.message import Outcome
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.status import BlockSearchStatus, ConditionType, Phase
from blockqnn_operator.core.observed.trial_job import TrialJob


def reported(
    *jobs: TrialJob, records: Sequence[TrialRecord] = (), **changes: Any
) -> BlockSearchStatus:
    """The status of a search with these Jobs and records."""
    state = make_state(BLOCKS, records, **changes)
    return status_of(make_observed(*jobs, search=make_search(make_spec(**changes))), state)


@given(st.lists(st.sampled_from([BAD, UNFIT, GOOD]), min_size=8, max_size=8))
def test_a_spent_budget_is_a_success_only_with_an_accuracy(outcomes: list[Outcome]) -> None:
    status = reported(records=history_of(*outcomes))
    assert status.phase is (Phase.COMPLETE if GOOD in outcomes else Phase.FAILED)
    complete = condition(status, ConditionType.COMPLETE)
    assert complete.status == str(GOOD in outcomes)
    assert (condition(status, ConditionType.FAILED).reason == "NoResults") == (GOOD not in outcomes)


def test_the_message_counts_and_says_where_the_reasons_are() -> None:
    status = reported(records=history_of(*[BAD] * 3, *[UNFIT] * 5))
    assert status.message == (
        "All 8 trials of the budget have a result. No trial has an accuracy: 3 failed, 5 were "
        "infeasible. The Events and the Jobs' logs give the reasons."
    )
    assert status.completion_time is None


def test_a_larger_budget_resumes_it() -> None:
    records = history_of(*[UNFIT] * 8)
    status = reported(records=records, budget={"trials": 16})
    assert status.phase is Phase.RUNNING


def test_a_first_iteration_of_failures_alone_ends_the_search() -> None:
    jobs = [failed(trial, BLOCKS[trial]) for trial in range(4)]
    status = reported(*jobs)
    assert status.phase is Phase.FAILED
    assert condition(status, ConditionType.FAILED).reason == "NoResults"
    assert status.message == (
        "The first 4 trials failed, so no others are started. The Events and the Jobs' logs "
        "give the reasons. Correct the cause and create the search again."
    )


@given(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3)))
def test_it_does_not_matter_which_trials_end_first(ended: set[int], failing: set[int]) -> None:
    """While a trial of the first iteration runs, the search goes on."""
    jobs = [
        (failed if trial in failing else succeeded)(trial, block)
        if trial in ended
        else make_job(trial, block)
        for trial, block in enumerate(BLOCKS[:4])
    ]
    status = reported(*jobs)
    assert (status.phase is Phase.FAILED) == (ended & failing == {0, 1, 2, 3})


def test_a_search_with_an_accuracy_goes_on_after_such_an_iteration() -> None:
    records = history_of(*[BAD] * 4, GOOD)
    assert reported(records=records, budget={"trials": 16}).phase is Phase.RUNNING
