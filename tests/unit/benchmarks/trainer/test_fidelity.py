"""The trainer trains what a plain loop trains, to the last bit where both add in the same order."""

from pathlib import Path

import pytest
import torch
from benchmarks.trainer.corpus import REDUCED, make_images, make_trial, stratified_blocks
from benchmarks.trainer.fidelity import compare
from benchmarks.trainer.plain import read_split

from blockqnn.block.nsc import Block
from blockqnn_trainer.datasets.split import load


@pytest.mark.parametrize("block", stratified_blocks(4, REDUCED)[:2], ids=str)
def test_twenty_losses_are_those_of_a_plain_loop(block: Block, tmp_path: Path) -> None:
    trial = make_trial(block, REDUCED, make_images(tmp_path / "digits.npz"), 64, seed=1)
    split = load(trial.dataset, trial.split_seed, torch.device("cpu"))
    comparison = compare(trial, split, read_split(trial))
    assert comparison.same_order <= 1e-6, "float32, each technique that rounds otherwise left out"
    assert comparison.float64 <= 1e-5, "all techniques, where rounding is too small to matter"
