"""The worked example of a trainer of one's own: a search of blocks that find keypoints."""

from pathlib import Path

import pytest
import yaml
from repository_paths import ROOT
from searching import WHILE_TRAINING

from blockqnn.contract.message import Outcome

pytestmark = pytest.mark.long

EXAMPLE = ROOT / "examples" / "keypoints"


def test_a_trainer_of_ones_own_finds_blocks_for_keypoints(searching, eventually):
    manifest = yaml.safe_load((EXAMPLE / "search.yaml").read_text())
    spec = manifest["spec"]
    # Its image is this machine: the command names the file where it is here.
    [container] = spec["trial"]["podTemplate"]["spec"]["containers"]
    assert Path(container["command"][-1]).name == "train.py"
    container["command"][-1] = str(EXAMPLE / "train.py")
    spec["trial"]["resources"]["requests"]["cpu"] = "500m"
    spec["budget"]["trials"], spec["agent"]["batchSize"] = 4, 4
    spec["space"]["maxLayers"], spec["training"]["epochs"] = 4, 3
    searching.apply(manifest)
    eventually(lambda: searching.is_over("keypoints"), within=2 * WHILE_TRAINING)
    records = searching.records("keypoints")
    assert len(records) == 4
    trained = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    assert trained
    # A guess is right for one keypoint in 32: a circle of a tenth of the side.
    assert max(record.accuracy for record in trained) > 0.1
    assert searching.status("keypoints")["phase"] == "Complete"
