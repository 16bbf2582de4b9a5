"""Made-up rewards of blocks whose optimum is known, on the space of the Network Structure Code.

They depend on what a block computes (its folded graph), never on how its code is written, so equal
networks have equal rewards. Each seed makes another landscape of the same kind. All lie between 0
and 1, and 1 is reached:

* *additive*: each operation adds its weight, less the further its number is from the wanted one;
* *interacting*: how alike the block and a hidden one are in layers, in edges, and in layers with
  their sources; what a layer is worth depends on what surrounds it;
* *length-biased*: the mean worth of the operations, less the further the number of layers is from
  the wanted one, which lies anywhere from 3 to 20, where random blocks have 6;
* *noisy*: the mean of an additive and an interacting one, seen through noise; what was found is
  judged without the noise.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from blockqnn.block.graph import FoldedGraph, fold
from blockqnn.block.nsc import Block
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn.space.protocol import Candidate

SPACE = Space(SpaceSettings.model_validate(PRESETS["Efficient"]["space"]))
"""The papers' space: indices up to 23, the terminal included."""

NOISE = 0.05
"""The standard deviation of the noise."""

_MOST = 3
"""The largest wanted number of an operation; 7 operations fit the 22 layers of a block."""

Value = Callable[[FoldedGraph], float]


@dataclass(frozen=True)
class Landscape:
    """A reward for every block."""

    value: Callable[[Candidate], float]
    """Worth of a block: from 0 to 1, and 1 is reached."""
    reward: Callable[[Candidate], float]
    """Reward that the search sees."""


def additive(seed: int) -> Landscape:
    """Make a landscape to which each operation contributes by itself."""
    return _exact(_additive(Random(f"additive:{seed}")))


def interacting(seed: int) -> Landscape:
    """Make a landscape around a hidden block."""
    return _exact(_interacting(Random(f"interacting:{seed}")))


def length_biased(seed: int) -> Landscape:
    """Make a landscape with a wanted number of layers."""
    return _exact(_length_biased(Random(f"length:{seed}")))


def noisy(seed: int) -> Landscape:
    """Make a landscape seen through noise, the same for a block whenever it is seen."""
    one, other = _additive(Random(f"additive:{seed}")), _interacting(Random(f"interacting:{seed}"))
    exact = _exact(lambda graph: (one(graph) + other(graph)) / 2)

    def reward(candidate: Candidate) -> float:
        noise = Random(f"{seed}:{SPACE.identity(candidate)}").gauss(0, NOISE)
        return exact.value(candidate) + noise

    return Landscape(exact.value, reward)


LANDSCAPES: dict[str, Callable[[int], Landscape]] = {
    "additive": additive,
    "interacting": interacting,
    "length-biased": length_biased,
    "noisy": noisy,
}


def _exact(value: Value) -> Landscape:
    known: dict[Candidate, float] = {}

    def remembered(candidate: Candidate) -> float:
        if candidate not in known:
            known[candidate] = value(fold(SPACE.decode(candidate)))
        return known[candidate]

    return Landscape(remembered, remembered)


def operations(graph: FoldedGraph) -> list[int]:
    """Return the operation of each layer that does something."""
    return [label >> 8 for label in graph.labels[1:]]


_OPERATIONS = operations(
    fold(
        Block.parse(
            "(1,1,1,0,0)(2,1,3,1,0)(3,1,5,2,0)(4,2,3,3,0)(5,3,3,4,0)(6,5,0,1,2)(7,6,0,3,4)"
            "(8,7,0,0,0)"
        )
    )
)
"""Convolutions, poolings of kernel 3, add and concat."""


def _additive(random: Random) -> Value:
    wanted = {one: int(random.random() * (_MOST + 1)) for one in _OPERATIONS}
    weights = {one: random.random() + 0.1 for one in _OPERATIONS}
    total = sum(weights.values())

    def value(graph: FoldedGraph) -> float:
        counts = Counter(operations(graph))
        misses = sum(
            weights[one] * min(abs(counts[one] - wanted[one]) / _MOST, 1) for one in _OPERATIONS
        )
        return 1 - misses / total

    return value


def _interacting(random: Random) -> Value:
    hidden = fold(SPACE.random_block(random, "TypeFirst"))
    while not 5 <= len(hidden.labels) - 1 <= 12:
        hidden = fold(SPACE.random_block(random, "TypeFirst"))
    wanted = _patterns(hidden)

    def value(graph: FoldedGraph) -> float:
        parts = zip(_patterns(graph), wanted, strict=True)
        return sum(_likeness(one, other) for one, other in parts) / len(wanted)

    return value


def _patterns(graph: FoldedGraph) -> tuple[Counter[object], ...]:
    names = [label >> 8 for label in graph.labels]
    edges = [
        (names[source], names[node])
        for node, sources in enumerate(graph.sources)
        for source in sources
    ]
    ends = [
        (names[node], "output")
        for node, label in enumerate(graph.labels)
        for _ in range(label & 255)
    ]
    stars = [
        (names[node], *sorted([names[source] for source in sources]))
        for node, sources in enumerate(graph.sources)
    ]
    return _count(names[1:]), _count([*edges, *ends]), _count(stars[1:])


def _count(items: Iterable[object]) -> Counter[object]:
    return Counter(items)


def _likeness(one: Counter[object], other: Counter[object]) -> float:
    """Return how many items are in both of those that are in either; 1 for two empty ones."""
    either = (one | other).total()
    return (one & other).total() / either if either else 1.0


def _length_biased(random: Random) -> Value:
    wanted = 3 + int(random.random() * 18)
    worth = {one: random.random() for one in _OPERATIONS}
    worth[_OPERATIONS[int(random.random() * 5)]] = 1.0  # one that can stand alone

    def value(graph: FoldedGraph) -> float:
        found = operations(graph)
        mean = sum(worth[one] for one in found) / len(found) if found else 0.0
        return mean * (1 - min(abs(len(found) - wanted) / 20, 1))

    return value
