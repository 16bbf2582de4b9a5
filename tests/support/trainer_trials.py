"""Trials of a second for the tests of the trainer as a process."""

import sys
from pathlib import Path
from typing import Any

CODE = "(1,1,3,0,0)(2,7,0,0,0)"
COMMAND = Path(sys.executable).with_name("blockqnn-train")


def specification(**changes: Any) -> dict[str, Any]:
    """A trial of a second; `changes` replace its fields, `section__field` within a section."""
    fields: dict[str, Any] = {
        "version": 1,
        "search": "default/test",
        "trial": 7,
        "attempt": 1,
        "block": CODE,
        "seed": 1,
        "splitSeed": 2,
        "network": {"filters": [4, 8], "repeats": 1, "outputProjection": True},
        "dataset": {
            "name": "digits",
            "path": "/data",
            "validation": {"source": "train", "fraction": 0.2},
        },
        "training": {
            "epochs": 2,
            "batchSize": 64,
            "precision": "auto",
            "optimizer": {
                "name": "Adam",
                "learningRate": 0.01,
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
            },
            "schedule": {"factor": 0.2, "every": 5},
            "restarts": {"maximum": 1, "factor": 0.4},
        },
    }
    for name, value in changes.items():
        section, _, field = name.rpartition("__")
        (fields[section] if section else fields)[field] = value
    return fields


def environment(message: Path, text: str | None) -> dict[str, str]:
    variables = {"TERMINATION_MESSAGE_PATH": str(message), "OMP_NUM_THREADS": "1"}
    return variables if text is None else {**variables, "BLOCKQNN_TRIAL": text}
