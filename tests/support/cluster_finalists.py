"""Searches with finalists on a real control plane: their specification, Jobs and history."""

from pathlib import Path
from typing import Any

from searching import WHILE_TRAINING, Searching

from blockqnn_api.history import shards as history
from blockqnn_api.history.finalist_record import Finalist, FinalistArchive, FinalistRecord

PATIENCE = 4 * WHILE_TRAINING
"""Seconds for five complete trainings, two at a time."""

COMPLETE = "jsonpath={.status.phase}=Complete"

FINALISTS: dict[str, Any] = {
    "training": {
        "epochs": 8,
        "batchSize": 32,
        "schedule": {"milestones": [6]},
        "augmentation": {"padding": 1, "flip": False},
    },
    "parallelism": 2,
}


def on(volume: Path, **changes: Any) -> dict[str, Any]:
    """Finalists that are kept in a directory of this machine."""
    source = {"hostPath": {"path": str(volume), "type": "Directory"}}
    return FINALISTS | {"volume": source, "path": str(volume)} | changes


def finalists(searching: Searching) -> list[dict[str, Any]]:
    return searching.items("jobs", "app.kubernetes.io/component=finalist")


def results(searching: Searching) -> dict[Finalist, FinalistRecord]:
    """The history of the finalists."""
    selector = "blockqnn.dev/search=search,app.kubernetes.io/component=finalists"
    shards = [history.read_shard(item) for item in searching.items("configmaps", selector)]
    return FinalistArchive.recover(sorted(shards, key=lambda shard: shard.number)).records
