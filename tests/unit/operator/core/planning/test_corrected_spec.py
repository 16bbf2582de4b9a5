"""A spec that is corrected because Pods cannot start reaches the Jobs that wait."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import (
    BLOCKS,
    NOW,
    A,
    B,
    make_job,
    make_observed,
    make_pod,
    make_proposal,
    make_search,
    make_settings,
    make_spec,
    make_state,
)

from blockqnn_operator.core.jobs.trial import trial_job, trial_template_hash
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.trials import Plan, plan

CHANGES: dict[str, dict[str, Any]] = {
    "image": {"trial": {"image": "registry.example/trainer:2"}},
    "resources": {"trial": {"resources": {"requests": {"cpu": "1"}}}},
    "podTemplate": {"trial": {"podTemplate": {"spec": {"nodeSelector": {"gpu": "a100"}}}}},
    "volume": {
        "dataset": {
            "name": "cifar10",
            "volume": {"persistentVolumeClaim": {"claimName": "images"}},
        }
    },
    "trialTimeout": {"failurePolicy": {"trialTimeout": "1m"}},
    "retries": {"failurePolicy": {"retries": 7}},
    "accelerators": {"trial": {"accelerators": 3}},
}
STALE = trial_template_hash(make_settings())
UNPLACED = make_pod(unplaced="0/3 nodes are available.")
REFUSED = make_pod(reason="ImagePullBackOff", node="gpu-1", placed_at=NOW)


def planned(job: TrialJob, *pods: TrialPod, **changes: Any) -> Plan:
    state = make_state(BLOCKS, **changes)
    observed = make_observed(job, pods=pods, search=make_search(make_spec(**changes)), now=NOW)
    return plan(observed, state, assess(observed, state))


def reasons(decided: Plan) -> list[str]:
    return [event.reason for event in decided.events]


@pytest.mark.parametrize("pod", [UNPLACED, REFUSED], ids=["Unschedulable", "ImagePullBackOff"])
@pytest.mark.parametrize("field", [name for name in CHANGES if name != "volume"])
def test_a_job_whose_pods_never_ran_is_replaced(field: str, pod: TrialPod) -> None:
    job = make_job(0, A, template_hash=STALE, pods=1)
    decided = planned(job, pod, **CHANGES[field])
    assert decided.cleanup.delete == (job.name,)
    assert "JobReplaced" in reasons(decided)
    # The same spec as before, or a change of something else: nothing is replaced.
    for same in ({}, {"parallelism": 7}, {"trial": {"retain": {"failed": 3}}}):
        assert planned(job, pod, **same).cleanup.delete == ()


def test_every_field_of_the_pods_changes_the_hash() -> None:
    hashes = [trial_template_hash(make_settings(**changes)) for changes in CHANGES.values()]
    assert len({STALE, *hashes}) == len(CHANGES) + 1


pods = st.builds(
    make_pod,
    running=st.booleans(),
    over=st.booleans(),
    gone=st.booleans(),
    exit_code=st.none() | st.integers(0, 255),
)


@given(st.lists(pods, max_size=3), st.integers(0, 3), st.integers(0, 2))
def test_only_what_has_never_run_is_replaced(
    seen: list[TrialPod], active: int, failed: int
) -> None:
    job = make_job(0, A, template_hash=STALE, pods=active, failed_pods=failed)
    decided = planned(job, *seen, **CHANGES["image"])
    ran = any(p.running or p.over or p.gone or p.exit_code is not None for p in seen)
    unseen = len(seen) < active + failed
    replaced = job.name in decided.cleanup.delete
    assert not (replaced and (ran or unseen))
    if not seen and not active and not failed:
        assert replaced


def test_a_job_of_an_earlier_version_is_left_alone() -> None:
    assert planned(make_job(0, A, pods=1), UNPLACED, **CHANGES["image"]).cleanup.delete == ()


def test_a_search_that_starts_nothing_replaces_nothing() -> None:
    job = make_job(0, A, template_hash=STALE, pods=1)
    assert planned(job, UNPLACED, suspend=True, **CHANGES["image"]).cleanup.delete == ()


def test_the_new_job_carries_the_new_hash() -> None:
    search = make_search(make_spec(**CHANGES["image"]))
    settings = make_settings(**CHANGES["image"])
    job = TrialJob.read(trial_job(search, settings, make_proposal(1, B)))
    assert job is not None
    assert job.template_hash == trial_template_hash(settings) != STALE
