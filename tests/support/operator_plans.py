"""Decisions about small searches, and what they hold.

Iterations have four trials here, and the budget is two iterations unless a test says otherwise.
"""

from collections.abc import Sequence
from typing import Any

from operator_builders import (
    BLOCKS,
    A,
    B,
    C,
    D,
    make_observed,
    make_record,
    make_state,
    succeeded,
)

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.status import BlockSearchStatus, Condition, ConditionType
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.trials import Plan, plan
from blockqnn_operator.core.reporting.status import report

LEARNING = {
    "agent": {"batchSize": 4, "epsilonSchedule": [{"epsilon": 0.5, "iterations": 2}]},
}
"""An agent that proposes an iteration only when it has learned the one before."""


RANDOM = {"agent": {"batchSize": 4, "algorithm": "RandomSearch"}}
"""An agent that can propose every iteration at once."""


def decide(observed: Observed, state: SearchState) -> Plan:
    """Assess a search and plan by that, as a pass does."""
    return plan(observed, state, assess(observed, state))


def status_of(
    observed: Observed, state: SearchState, *more: Any, **named: Any
) -> BlockSearchStatus:
    """Assess a search and report it, as a pass does."""
    return report(observed, state, assess(observed, state), *more, **named)


def planned(
    *jobs: TrialJob,
    script: Sequence[Block] = BLOCKS,
    records: Sequence[TrialRecord] = (),
    pods: Sequence[TrialPod] = (),
    **changes: Any,
) -> Plan:
    return decide(make_observed(*jobs, pods=pods), make_state(script, records, **changes))


def created(decided: Plan) -> list[int]:
    return [trial.number for trials in decided.create for trial in trials]


def archived(decided: Plan) -> list[int]:
    return [record.trial for record in decided.archive]


def stages(decided: Plan) -> dict[int, Stage]:
    return {trial.number: trial.stage for trial in decided.assessment.open_trials.trials}


def history_of(*outcomes: Outcome, script: Sequence[Block] = BLOCKS) -> list[TrialRecord]:
    return [
        make_record(trial, script[trial % len(script)], outcome=outcome)
        for trial, outcome in enumerate(outcomes)
    ]


def condition(status: BlockSearchStatus, kind: ConditionType) -> Condition:
    (matching,) = [condition for condition in status.conditions if condition.type == kind]
    return matching


GOOD, BAD, UNFIT = Outcome.SUCCEEDED, Outcome.FAILED, Outcome.INFEASIBLE
FIRST_FOUR = (succeeded(0, A), succeeded(1, B), succeeded(2, C), succeeded(3, D))
"""Jobs that carry good results of the first iteration."""
