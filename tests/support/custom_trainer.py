"""A trainer that is not ours: it keeps the contract and needs no second.

It reads the trial from BLOCKQNN_TRIAL, or several from BLOCKQNN_TRIALS, and writes a result to the
termination message, with an accuracy that depends on the block alone. Some blocks it finds
infeasible. Of several it hangs once before the third, where PAUSE_ONCE names a file to tell by.
Finalists, which it is told of by BLOCKQNN_FINALIST, it leaves to our trainer.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block


def result_of(trial: dict[str, Any]) -> dict[str, Any]:
    """The result of a trial, given its specification."""
    digest = canonical_hash(Block.parse(trial["block"]))
    share = int(digest[:8], 16) / 0xFFFFFFFF
    result = {
        "version": 1,
        "trial": trial["trial"],
        "attempt": trial["attempt"],
        "blockHash": digest,
        "outcome": "Succeeded",
        "reason": "Completed",
        "accuracy": round(0.1 + 0.8 * share, 6),
    }
    if share < 0.1:
        result |= {"outcome": "Infeasible", "reason": "NeverLearned", "message": "It is too weak."}
        del result["accuracy"]
    return result


def run_several(trials: list[dict[str, Any]], message: Path) -> None:
    """Answer trial by trial: whatever ends the process, the results so far are told."""
    results: list[dict[str, Any]] = []
    for trial in trials:
        if len(results) == 2 and "PAUSE_ONCE" in os.environ:
            pause_once(Path(os.environ["PAUSE_ONCE"]))
        results.append(result_of(trial))
        message.write_text(json.dumps({"version": 1, "results": results}))


def pause_once(marker: Path) -> None:
    if not marker.exists():
        marker.touch()
        time.sleep(60)


def main() -> int:
    if "BLOCKQNN_FINALIST" in os.environ:
        os.execvp("blockqnn-train", ["blockqnn-train", "finalist"])
    message = Path(os.environ["TERMINATION_MESSAGE_PATH"])
    if "BLOCKQNN_TRIALS" in os.environ:
        run_several(json.loads(os.environ["BLOCKQNN_TRIALS"]), message)
    else:
        message.write_text(json.dumps(result_of(json.loads(os.environ["BLOCKQNN_TRIAL"]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
