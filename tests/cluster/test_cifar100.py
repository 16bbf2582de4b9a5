"""Real images: a slice of CIFAR-100, through real Jobs, to real accuracies."""

import numpy
import pytest
from repository_paths import ROOT
from searching import WHILE_TRAINING, search_manifest

from blockqnn.contract.message import Outcome

SHARDS = sorted((ROOT.parent / "shared" / "data" / "cifar100").glob("train-*.npz"))
CLASSES = 4
"""The first four of the hundred classes: 2,000 images, which the smallest networks tell apart
better than chance after seconds on one core."""


@pytest.mark.long
@pytest.mark.skipif(
    not SHARDS, reason="CIFAR-100 is not there: no shared/data/cifar100/train-*.npz"
)
def test_eight_blocks_learn_cifar100_in_real_jobs(searching, eventually, tmp_path):
    for path in SHARDS:
        with numpy.load(path) as shard:
            chosen = shard["y"] < CLASSES
            numpy.savez(tmp_path / path.name, x=shard["x"][chosen], y=shard["y"][chosen])
    searching.apply(
        search_manifest(
            dataset={
                "name": "npz",
                "path": str(tmp_path),
                "volume": {"hostPath": {"path": str(tmp_path)}},
            },
            budget={"trials": 8},
            space={"maxLayers": 4},
            network={"filters": [4, 8], "repeats": 1},
            training={"epochs": 3, "batchSize": 32, "optimizer": {"learningRate": 0.01}},
            trial={"resources": {"requests": {"cpu": "500m"}}},
        )
    )
    eventually(searching.is_over, within=2 * WHILE_TRAINING)
    records = searching.records()
    assert len(records) == 8
    accuracies = {r.accuracy for r in records if r.outcome is Outcome.SUCCEEDED}
    assert len(accuracies) > 1, "different blocks reach different accuracies"
    assert max(accuracies) > 1.5 / CLASSES, "clearly better than chance"
