"""A search of several hundred trials while everything around it fails at random.

Run it alone, by ``python -m pytest tests/chaos``: each of its two searches takes about 20 minutes
on two cores, and a cluster of its own; ``-k predictor`` chooses one. CHAOS_TRIALS and CHAOS_SEED
change the searches and their faults.
"""

import json
import os
import shlex
import uuid
from typing import Any

import pytest
from chaos import Chaos, comparable, undisturbed
from searching import CUSTOM_TRAINER, search_manifest

from blockqnn_devcluster import DevCluster

TRIALS = int(os.environ.get("CHAOS_TRIALS", "600"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))

TRIAL_SECONDS = 5
"""Longer than an operator takes to start: were trials much shorter, the search would be over before
it had been killed often."""

KILLS = TRIALS // 10
"""Least number of times that an operator must have been killed."""


def unhurried(trial: dict[str, Any]) -> dict[str, Any]:
    """The same trial, whose trainer sleeps first."""
    trial = json.loads(json.dumps(trial))
    (container,) = trial["podTemplate"]["spec"]["containers"]
    train = shlex.join(container["command"])
    container["command"] = ["sh", "-c", f"sleep {TRIAL_SECONDS}; exec {train}"]
    return trial


AGENTS: dict[str, dict[str, Any]] = {
    "as printed": {"batchSize": 20, "pipelining": 1},
    "with a predictor": {
        "batchSize": 20,
        "duplicates": "Redraw",
        "state": "BackOff",
        "shaping": "Learned",
        "rewardScale": "Rank",
        "predictor": {"candidates": 5, "warmup": 20},
        "earlyTermination": {},
    },
}


def search(agent: str) -> dict[str, Any]:
    return search_manifest(
        trial=unhurried(CUSTOM_TRAINER["trial"]),
        budget={"trials": TRIALS},
        space={"maxLayers": 8},
        agent=AGENTS[agent],
        parallelism=4,
        failurePolicy={"retries": 20},
    )


FAULTS = {
    "kill_operator": 16,
    "kill_both_operators": 2,
    "delete_pod": 8,
    "delete_any_pod": 1,
    "delete_job": 8,
    "stop_api_server": 1,
    "stop_etcd": 1,
    "bad_weather": 4,
}
"""Frequency of each. Any Pod is rare: of one that has ended, the result is lost with it, and
its Job is waited for a minute before another attempt."""

PAUSE = 3.0
"""Mean seconds between two faults: an operator takes about two to start, so that with less of it
neither would come to anything."""

SECONDS_PER_TRIAL = 12.0
"""Several times what a trial takes with such faults on two cores."""


@pytest.mark.timeout(TRIALS * SECONDS_PER_TRIAL + 600)
@pytest.mark.parametrize("agent", AGENTS)
def test_nothing_is_lost_and_nothing_is_counted_twice(agent, tmp_path_factory, capsys):
    with DevCluster.start(f"chaos-{uuid.uuid4().hex[:8]}") as cluster:
        chaos = Chaos(cluster, tmp_path_factory.mktemp("chaos"), SEED, roads=True)
        chaos.run(search(agent), FAULTS, PAUSE, within=TRIALS * SECONDS_PER_TRIAL)
        records = chaos.searching.records()
    with capsys.disabled():
        fault_counts = ", ".join(f"{kind}: {count}" for kind, count in sorted(chaos.faults.items()))
        print(
            f"\n{agent}: {len(records)} trials, {sum(chaos.faults.values())} faults "
            f"({fault_counts})"
        )
    assert comparable(records) == undisturbed(search(agent))
    chosen = [record for record in records if record.predicted is not None]
    assert bool(chosen) == ("predictor" in AGENTS[agent])
    assert chaos.faults["operator killed"] >= KILLS
