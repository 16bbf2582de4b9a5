"""The table of trained blocks as a landscape: what was measured, and a model for all other blocks.

A block of the table is worth what a training of it reached, one of several at random where it was
trained with more than one seed. What the table lacks, the surrogate answers for, with noise as
large as that between the seeds of a block.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from random import Random
from typing import Any

from benchmarks.table.recipe import NETWORK
from benchmarks.table.rows import Row
from benchmarks.table.space import make_space
from benchmarks.table.surrogate import Surrogate, describe
from blockqnn.block.nsc import Block
from blockqnn.learning.reward import redefined_reward
from blockqnn.settings.search import RewardSettings
from blockqnn.space.protocol import Candidate, pick

FEWEST = 30
"""Of fewer blocks no model is made."""


def noise_between_seeds(trainings: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return the standard deviation of a training about the mean of its block, and of how many.

    Args:
        trainings: for each block what each training of it reached.

    Returns:
        The deviation, 0 where no block was trained twice, and how many blocks were.
    """
    repeated = [accuracies for accuracies in trainings if len(accuracies) > 1]
    freedom = sum([len(accuracies) - 1 for accuracies in repeated])
    if not freedom:
        return 0.0, 0
    squares = [
        (value - sum(accuracies) / len(accuracies)) ** 2
        for accuracies in repeated
        for value in accuracies
    ]
    return math.sqrt(math.fsum(squares) / freedom), len(repeated)


class TrainedBlocks:
    """Rewards of all blocks, in percent: the accuracy after the table's few epochs.

    Args:
        rows: the table, with at least :data:`FEWEST` blocks that could be trained.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.space = make_space()
        self._trainings: dict[str, list[float]] = {}
        learned: dict[str, Block] = {}
        for row in rows:
            self._trainings.setdefault(row.hash, []).append(100 * row.accuracy)
            if row.outcome == "Succeeded":
                learned[row.hash] = Block.parse(row.block)
        self.rows = len(rows)
        self.noise, self.repeated = noise_between_seeds(
            [self._trainings[block_hash] for block_hash in learned]
        )
        means = [
            sum(self._trainings[block_hash]) / len(self._trainings[block_hash])
            for block_hash in learned
        ]
        self.surrogate = Surrogate([describe(block) for block in learned.values()], means)
        self._worths = {
            block_hash: 0.0 for block_hash in self._trainings if block_hash not in learned
        }

    @property
    def best_worth(self) -> float:
        """The highest worth among the blocks of the table."""
        return float(self.surrogate.fitted().max())

    def accuracy(self, block: Block, digest: str, seed: int) -> float:
        """Return what a search with a seed measures of a block: the same whenever it is asked.

        Args:
            block: the block, of whatever space.
            digest: its canonical hash.
            seed: of the search.

        Returns:
            The accuracy after the table's epochs, in percent.
        """
        random = Random(f"{seed}:{digest}")
        trainings = self._trainings.get(digest)
        if trainings is not None:
            return pick(trainings, random)
        return min(max(self.worth(block, digest) + random.gauss(0, self.noise), 0.0), 100.0)

    def worth(self, block: Block, digest: str) -> float:
        """Return what a block is worth beyond chance, as far as the whole table can tell.

        Args:
            block: the block, of whatever space.
            digest: its canonical hash.

        Returns:
            The expected accuracy after the table's epochs, in percent.
        """
        worth = self._worths.get(digest)
        if worth is None:
            worth = self._worths[digest] = self.surrogate.predict(describe(block))
        return worth

    def reward(self, candidate: Candidate, seed: int) -> float:
        """Return :meth:`accuracy` of a candidate of this landscape's space."""
        return self.accuracy(self.space.decode(candidate), self.space.identity(candidate), seed)

    def redefined(self, candidate: Candidate, seed: int, settings: RewardSettings) -> float:
        """Return the reward that production makes of :meth:`accuracy`."""
        block = self.space.decode(candidate)
        accuracy = self.accuracy(block, self.space.identity(candidate), seed)
        return self.production_reward(block, accuracy, settings)

    @staticmethod
    def production_reward(block: Block, accuracy: float, settings: RewardSettings) -> float:
        """Return the reward that production makes of an accuracy, both in percent."""
        return redefined_reward(block, accuracy / 100, settings, NETWORK)

    def value(self, candidate: Candidate) -> float:
        """Return :meth:`worth` of a candidate of this landscape's space."""
        return self.worth(self.space.decode(candidate), self.space.identity(candidate))

    def facts(self) -> dict[str, Any]:
        """Return what is known of the table and of the model, for the report."""
        return {
            "rows": self.rows,
            "blocks": len(self._trainings),
            "repeated blocks": self.repeated,
            "noise": self.noise,
            "kernel": self.surrogate.kernel._asdict(),
            "cross-validation": asdict(self.surrogate.judge()),
        }


def describe_facts(facts: dict[str, Any]) -> str:
    """Say in a few lines how far the landscape can be trusted."""
    errors = facts["cross-validation"]
    noise = (
        f"{facts['noise']:.2f} from {facts['repeated blocks']} blocks with a second seed"
        if facts["repeated blocks"]
        else "unknown, since no block has a second seed; taken as 0"
    )
    return (
        f"{facts['rows']} trainings of {facts['blocks']} blocks; noise between seeds: {noise}.\n"
        f"The model for all other blocks, judged on {errors['blocks']} blocks it had not seen (ten "
        f"parts): error {errors['error']:.2f},\nthat of the mean {errors['error_of_mean']:.2f}; "
        f"rank correlation {errors['correlation']:.3f}, {errors['top_correlation']:.2f} in the "
        "best fifth. All in percent of accuracy."
    )
