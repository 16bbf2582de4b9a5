"""A search in a space with all types of layers, on a real control plane with real trainings."""

from pathlib import Path
from typing import Any

import pytest
from searching import REAL_TRAINING, WHILE_TRAINING, search_manifest

from blockqnn.block.layer_types import PAPERS
from blockqnn.block.nsc import Block, LayerType
from blockqnn.contract.message import Outcome
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn.network.datasets import images_of
from blockqnn.network.spec import NetworkSpec
from blockqnn_api.history import shards as history
from blockqnn_api.history.finalist_record import FinalistArchive

pytestmark = pytest.mark.long

PATIENCE = 4 * WHILE_TRAINING
MORE = ("SeparableConvolution", "Bottleneck", "PreviousInput")
NEW = {LayerType.SEPARABLE_CONVOLUTION, LayerType.BOTTLENECK, LayerType.PREVIOUS_INPUT}
NETWORK: dict[str, Any] = {"filters": [4, 8], "repeats": 2, "outputProjection": True}
"""Two stages of two blocks, so that the previous input crosses the halving of the image."""


def test_the_best_block_of_all_layers_becomes_a_model(searching, tmp_path: Path) -> None:
    volume = tmp_path / "models"
    volume.mkdir()
    finalists = {
        "count": 1,
        "volume": {"hostPath": {"path": str(volume), "type": "Directory"}},
        "path": str(volume),
        "training": {"epochs": 2, "batchSize": 32, "schedule": {"milestones": [1]}},
    }
    asked = {
        **REAL_TRAINING,
        "network": NETWORK,
        "trial": {**REAL_TRAINING["trial"], "blocksPerJob": 8},
        "budget": {"trials": 16},
        "agent": {
            "batchSize": 8,
            "epsilonSchedule": [
                {"epsilon": 1.0, "iterations": 1},
                {"epsilon": 0.1, "iterations": 1},
            ],
        },
        "space": {"maxLayers": 9, "layers": [*PAPERS, *MORE]},
        "finalists": finalists,
    }
    searching.apply(search_manifest(**asked))
    searching.wait("jsonpath={.status.phase}=Complete", PATIENCE)

    trained = [record for record in searching.records() if record.outcome is Outcome.SUCCEEDED]
    assert {layer.type for record in trained for layer in Block.parse(record.block)} >= NEW
    for record in trained:
        block, network = Block.parse(record.block), NetworkSpec.model_validate(NETWORK)
        images = images_of("digits")
        assert record.parameters == network_parameters(block, network, images.size, images.classes)
        assert record.macs == network_macs(block, network, images.size, images.classes)
    best = searching.status()["best"]
    selector = "blockqnn.dev/search=search,app.kubernetes.io/component=finalists"
    shards = [history.read_shard(item) for item in searching.items("configmaps", selector)]
    (finalist,) = FinalistArchive.recover(shards).records.values()
    assert finalist.trial == best["trial"]
    assert finalist.outcome is Outcome.SUCCEEDED
    assert best["convergedAccuracy"] == round(finalist.accuracy or 0, 6) > 0.1
    assert (volume / finalist.folder / "model.onnx").exists()
