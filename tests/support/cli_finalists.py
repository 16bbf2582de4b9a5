"""A search with finalists for the tests of the command line, on made-up accuracies."""

from dataclasses import replace
from typing import Any

from cli_searches import simulated

from blockqnn.contract.message import Outcome
from blockqnn_api.history.finalist_record import FinalistRecord

PLAIN = simulated()
BEST = sorted(
    (r for r in PLAIN.records if r.outcome is Outcome.SUCCEEDED), key=lambda r: -(r.reward or 0)
)
FINALISTS_STATUS = {
    "total": 13,
    "running": 1,
    "succeeded": 12,
    "infeasible": 0,
    "failed": 0,
    "records": 12,
    "best": {
        "trial": BEST[0].trial,
        "block": BEST[0].block,
        "accuracy": 0.94,
        "deviation": 0.004,
        "seeds": 2,
        "folder": "lab/digits/trial-00007/seed-1",
    },
}
SEARCH = replace(
    PLAIN,
    spec={**PLAIN.spec, "finalists": {"volume": {"emptyDir": {}}}},
    status={
        **PLAIN.status,
        "finalists": FINALISTS_STATUS,
        "best": {**PLAIN.status["best"], "trial": BEST[0].trial, "convergedAccuracy": 0.94},
    },
)

MESSAGE = "12 finalists are trained; the best is the block of trial 7."
READY = replace(
    SEARCH,
    status={
        **SEARCH.status,
        "conditions": [{"type": "FinalistsReady", "status": "True", "message": MESSAGE}],
    },
)
"""The same search when its finalists are trained."""


def record(rank: int, accuracy: float | None, **changes: Any) -> FinalistRecord:
    entry = BEST[rank]
    fields: dict[str, Any] = {
        "trial": entry.trial,
        "seed": 0,
        "block": entry.block,
        "hash": entry.hash,
        "outcome": Outcome.SUCCEEDED,
        "reason": "Completed",
        "accuracy": accuracy,
        "folder": f"lab/digits/trial-{entry.trial:05d}/seed-0",
    }
    return FinalistRecord(**fields | changes)


# The more accurate early, the more accurate in the end.
RECORDS = [record(n, round(0.5 + (BEST[n].accuracy or 0) / 2, 4)) for n in range(10)]
RECORDS += [record(0, 0.9999, seed=1), record(1, 0.71, target="cifar100")]
