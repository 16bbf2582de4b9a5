"""Searches made of trainings that are known, and what would have come of stopping some of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.table.recipe import NETWORK
from benchmarks.table.rows import read
from blockqnn.block.nsc import Block
from blockqnn.learning.reward import floor_reward
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import EarlyTermination, RewardSettings
from blockqnn.surrogate.early_termination import LearningCurves

RANDOM_SHARE = 0.15
"""The share of a search that is drawn at random, in which nothing stops: as in Efficient."""

REWARDS: Mapping[str, RewardSettings] = {
    "accuracy": RewardSettings(macs_weight=0.0, density_weight=0.0),
    "CVPR2018": RewardSettings.model_validate(PRESETS["CVPR2018"]["reward"]),
}
"""Order of the blocks."""


@dataclass(frozen=True, slots=True)
class Training:
    """One block's complete training."""

    curve: tuple[float, ...]
    """The accuracy after each epoch, 0 to 1."""
    discount: float
    """Reduction of its reward by its cost, in percent."""

    def reward(self, accuracy: float) -> float:
        """Return what the block is worth with an accuracy, in percent."""
        return 100 * accuracy - self.discount


def read_trainings(path: Path, reward: str) -> list[Training]:
    """Read the first training of each block that could be trained, in the order of the table.

    That order is that of a search: random blocks first, then those that searches found.
    """
    settings = REWARDS[reward]
    found: dict[str, Training] = {}
    for row in read(path):
        if row.outcome == "Succeeded" and row.hash not in found:
            floor = floor_reward(Block.parse(row.block), settings, NETWORK)
            found[row.hash] = Training(row.curve, -floor)
    return list(found.values())


Order = Callable[[list[int], Random], list[int]]

ORDERS: Mapping[str, Order] = {
    "shuffled": lambda places, random: random.sample(places, len(places)),
    "as found": lambda places, _: sorted(places),
}
"""In which order the blocks of a resampled search come."""


def resample(trainings: Sequence[Training], size: int, order: str, seed: int) -> list[Training]:
    """Draw a search from the trainings, each at most once.

    Args:
        trainings: all that there are.
        size: how many the search has.
        order: a name of :data:`ORDERS`.
        seed: draws them.
    """
    random = Random(seed)
    places = random.sample(range(len(trainings)), size)
    return [trainings[place] for place in ORDERS[order](places, random)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of stopping trainings of one search."""

    saved: float
    """The share of all epochs that were not trained."""
    stopped: float
    """The share of trainings that did not reach their end."""
    same_best: bool
    """True if the best block is still the best."""
    regret: float
    """Distance of the block found to the best one, in percent of reward."""


def stop_early(trainings: Sequence[Training], settings: EarlyTermination, batch: int) -> Outcome:
    """Stop trainings as the trainer does, by rules that are learned iteration by iteration.

    Args:
        trainings: those of a search, in order.
        settings: those of `agent.earlyTermination`.
        batch: how many are learned from at a time.
    """
    curves = LearningCurves(settings)
    rewards: list[float] = []
    epochs: list[int] = []
    for start in range(0, len(trainings), batch):
        learned = []
        for training in trainings[start : start + batch]:
            accuracy, trained = training.curve[-1], len(training.curve)
            rules = () if start < RANDOM_SHARE * len(trainings) else curves.rules(training.discount)
            for rule in rules:
                if training.curve[rule.epoch - 1] < rule.below:
                    extrapolated = rule.intercept + rule.slope * training.curve[rule.epoch - 1]
                    accuracy, trained = min(max(extrapolated, 0.0), 1.0), rule.epoch
                    break
            rewards.append(training.reward(accuracy))
            epochs.append(trained)
            if trained == len(training.curve):
                learned.append(training)
        for training in learned:
            curves.add(training.curve, training.reward(training.curve[-1]))
    return _judge(trainings, rewards, epochs)


def halve(trainings: Sequence[Training], batch: int) -> Outcome:
    """Train an iteration for a quarter of the epochs, its better half for half, and so on.

    Successive halving (Jamieson and Talwalkar 2016); what stops counts with the accuracy it has.

    Args:
        trainings: those of a search, in order.
        batch: how many are compared with each other.
    """
    rewards: list[float] = []
    epochs: list[int] = []
    for start in range(0, len(trainings), batch):
        group = trainings[start : start + batch]
        length = len(group[0].curve)
        trained = [length // 4] * len(group)
        left = list(range(len(group)))
        for end in (length // 2, length):
            # The latest accuracy decides; the first of equals goes on.
            left.sort(key=lambda one: (-group[one].reward(group[one].curve[trained[one] - 1]), one))
            left = left[: -(-len(left) // 2)]
            for one in left:
                trained[one] = end
        epochs += trained
        rewards += [
            one.reward(one.curve[done - 1]) for one, done in zip(group, trained, strict=True)
        ]
    return _judge(trainings, rewards, epochs)


def _judge(
    trainings: Sequence[Training], rewards: Sequence[float], epochs: Sequence[int]
) -> Outcome:
    true = [one.reward(one.curve[-1]) for one in trainings]
    lengths = [len(one.curve) for one in trainings]
    found = max(range(len(rewards)), key=rewards.__getitem__)
    stopped = sum(done < length for done, length in zip(epochs, lengths, strict=True))
    return Outcome(
        saved=1 - sum(epochs) / sum(lengths),
        stopped=stopped / len(trainings),
        same_best=true[found] == max(true),
        regret=max(true) - true[found],
    )
