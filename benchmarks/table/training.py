"""Trains one block, in a process that stays warm for the next."""

import contextlib
import io
import time
from pathlib import Path

from benchmarks.table.recipe import CLASSES, INPUT_SHAPE, NETWORK, make_trial
from benchmarks.table.rows import Row
from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn_trainer.run.progress import TrialProgress
from blockqnn_trainer.run.trial import run_trial


def train(code: str, origin: str, seed: int, images: Path) -> Row:
    """Train the block of a code and return its row."""
    block = Block.parse(code)
    digest = canonical_hash(block)
    progress = TrialProgress(0, 0, digest)
    began = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        result = run_trial(make_trial(block, images, seed), block, progress, lambda: None)
    return Row(
        hash=digest,
        block=code,
        origin=origin,
        seed=seed,
        outcome=str(result.outcome),
        parameters=network_parameters(block, NETWORK, INPUT_SHAPE, CLASSES),
        macs=network_macs(block, NETWORK, INPUT_SHAPE, CLASSES),
        seconds=time.process_time() - began,
        curve=tuple(progress.curve),
    )
