"""Specifications of finalists for the tests: seconds of training, on images that are at hand."""

import json
from pathlib import Path
from typing import Any

from blockqnn.contract.finalist import FinalistSpec

SHORTCUT = "(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)"


def finalist_fields(volume: Path, **changes: Any) -> dict[str, Any]:
    """A short training on digits; `changes` replace fields, `section__field` within a section."""
    fields: dict[str, Any] = {
        "version": 1,
        "search": "default/test",
        "trial": 3,
        "block": SHORTCUT,
        "seed": 1,
        "splitSeed": 2,
        "recipe": "cifar",
        "network": {"filters": [4, 8], "repeats": 1},
        "dataset": {
            "name": "digits",
            "path": "/data",
            "validation": {"source": "train", "fraction": 0.2},
        },
        "training": {
            "epochs": 3,
            "batchSize": 64,
            "schedule": {"milestones": [2]},
            "augmentation": {"padding": 1, "flip": False},
        },
        "volume": str(volume),
        "folder": "digits/shortcut",
    }
    for name, value in changes.items():
        section, _, field = name.rpartition("__")
        (fields[section] if section else fields)[field] = value
    return fields


def finalist_spec(volume: Path, **changes: Any) -> FinalistSpec:
    """The same as the trainer reads it."""
    return FinalistSpec.read(json.dumps(finalist_fields(volume, **changes)))
