"""A trainer that is not ours: it keeps the contract and needs no second.

It reads the trial from BLOCKQNN_TRIAL and writes a result to the termination message, with an
accuracy that depends on the block alone. Some blocks it finds infeasible.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from blockqnn.graph import canonical_hash
from blockqnn.nsc import Block


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


def main() -> int:
    result = result_of(json.loads(os.environ["BLOCKQNN_TRIAL"]))
    Path(os.environ["TERMINATION_MESSAGE_PATH"]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
