"""The short form of the chaos test: a few faults of each kind; ``make chaos`` has many."""

import uuid

import pytest
from chaos import Chaos, comparable, undisturbed
from searching import CUSTOM_TRAINER, search_manifest

from blockqnn_devcluster import DevCluster

SEARCH = search_manifest(
    **CUSTOM_TRAINER, budget={"trials": 18}, agent={"batchSize": 6}, parallelism=3,
    failurePolicy={"retries": 20},
)  # fmt: skip

FAULTS = {"kill_both_operators": 1, "delete_pod": 3, "delete_job": 3, "stop_api_server": 1}


@pytest.mark.timeout(420)
def test_the_history_is_that_of_an_undisturbed_search_whatever_fails(tmp_path_factory):
    with DevCluster.start(f"chaos-{uuid.uuid4().hex[:8]}") as cluster:
        chaos = Chaos(cluster, tmp_path_factory.mktemp("chaos"), seed=1)
        chaos.run(SEARCH, FAULTS, pause=0.5, within=300)
        assert comparable(chaos.searching.records()) == undisturbed(SEARCH)
        assert sum(chaos.faults.values()) >= 3, chaos.faults
