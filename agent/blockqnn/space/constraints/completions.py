"""The cheapest completions of an unfinished block, where outputs are projected.

With an output projection every block of the network takes and leaves the widths of the stages,
whatever it computes. So the network has the same few *places* for any block: the first in each
stage, the second, and the rest. The cost of the network is then a sum: the costs of each layer in
all places together, plus the cost of the projection of the loose ends. A completion depends on the
widths of the loose ends only; the cost of the layers so far only lowers the remaining budget. So
for each set of widths the costs of known completions are cached, and the budgets that were too low
for any. They decide on further unfinished blocks with equally wide loose ends.

A width here is a number that stands for the channels in each of the places. The result and the cost
of joining, convolving and projecting it are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations_with_replacement
from typing import NamedTuple

from blockqnn.block.nsc import Layer, LayerType
from blockqnn.network.cost import BlockCost, NetworkCost, layers_cost, stacked_cost
from blockqnn.network.spec import NetworkSpec

_MOST_KNOWN = 100_000
"""Most sets of widths with cached completions: some tens of megabytes."""

_FREE = NetworkCost(0, 0)


class Place(NamedTuple):
    """A group of blocks of the network that cost the same."""

    entering: int
    """Channels of their input."""
    previous: int
    """Channels of the previous block's input."""
    stage: int
    """Channels of their convolutions and of their output."""
    blocks: int
    """Number of blocks."""
    positions: int
    """Positions of the image, summed over these blocks."""


class Unfinished(NamedTuple):
    """The layers of an unfinished block so far."""

    widths: tuple[int, ...]
    """Widths of the input and of each layer."""
    paid: NetworkCost
    """Cost of the network without the projections."""
    loose: tuple[bool, ...]
    """True for the input, or a layer, if it is a loose end."""

    @property
    def ends(self) -> list[int]:
        """The widths of the loose ends."""
        return [width for width, loose in zip(self.widths, self.loose, strict=True) if loose]


@dataclass(slots=True)
class _Known:
    """Cached results on the completions of some loose ends, each for a number of layers."""

    least: dict[int, NetworkCost] = field(default_factory=dict)
    """Lower bounds of the cost of any completion by at most so many layers."""
    reached: list[tuple[int, NetworkCost]] = field(default_factory=list)
    """Costs of completions by so many layers."""
    missed: list[tuple[int, NetworkCost]] = field(default_factory=list)
    """Limits that no completion by at most so many layers keeps."""

    def find(self, more: int, most: NetworkCost) -> tuple[int, NetworkCost] | None:
        """Return the layers and the cost of a cached completion within both limits, or None."""
        for completion in self.reached:
            if completion[0] <= more and _fits(completion[1], most):
                return completion
        return None

    def excludes(self, more: int, most: NetworkCost) -> bool:
        """Return whether there certainly is no completion within both limits."""
        for layers, cost in self.least.items():
            if layers >= more and not _fits(cost, most):
                return True
        return any(layers >= more and _fits(most, cost) for layers, cost in self.missed)


class Completions:
    """Search for the cheapest completions of unfinished blocks.

    Args:
        network: the stacking of blocks; with an output projection.
        on_previous: whether a block may take the previous block's input.
        joining: the types of layers that may join two loose ends.
        convolving: the cheapest layer that brings one to the width of the stage.
        input_shape: channels, height and breadth of an image, in pixels.
        classes: the number of classes.
    """

    def __init__(
        self,
        network: NetworkSpec,
        on_previous: bool,
        joining: Sequence[LayerType],
        convolving: tuple[LayerType, int],
        input_shape: tuple[int, int, int],
        classes: int,
    ) -> None:
        self._joining = joining
        self._convolving = convolving
        self._places, base = _places(network, on_previous, input_shape, classes)
        self._channels: list[tuple[int, ...]] = []
        self._numbers: dict[tuple[int, ...], int] = {}
        self._stage = self._number([group.stage for group in self._places])
        entering = self._number([group.entering for group in self._places])
        self.start = Unfinished((entering,), base, (True,))
        """A block without a layer."""
        self._layers: dict[tuple[int, ...], tuple[int, NetworkCost]] = {}
        self._projections: dict[int, NetworkCost] = {}
        self._known: dict[tuple[int, ...], _Known] = {}

    def extend(self, block: Unfinished, layer: Layer) -> Unfinished:
        """Return a block with one more layer."""
        taken = layer.predecessors
        width, cost = self._layer(
            layer.type, layer.kernel, *[block.widths[source] for source in taken]
        )
        loose = list(block.loose)
        for source in (0, *taken):
            loose[source] = False
        return Unfinished((*block.widths, width), _add(block.paid, cost), (*loose, True))

    def within(self, block: Unfinished, more: int, most: NetworkCost) -> bool:
        """Return whether a completion by at most `more` layers keeps the network within a cost.

        Only layers that can help are tried (:mod:`blockqnn.space.constraints.limits`).
        """
        budget = _subtract(most, block.paid)
        return _fits(_FREE, budget) and self._complete(block.ends, more, budget) is not None

    def _complete(
        self, ends: list[int], more: int, most: NetworkCost
    ) -> tuple[int, NetworkCost] | None:
        """Return the layers and the cost of a completion within a cost; None if there is none."""
        at_once = self._projected(ends)
        if _fits(at_once, most):
            return 0, at_once
        # Each end, and each result of joining two, is convolved at most once.
        more = min(more, 3 * len(ends) - 2)
        if not more:
            return None
        record = self._look_up(ends, more)
        completion = record.find(more, most)
        if completion is not None or record.excludes(more, most):
            return completion
        least = at_once
        for merged, cost in self._reductions(ends):
            budget = _subtract(most, cost)
            rest = self._complete(merged, more - 1, budget) if _fits(_FREE, budget) else None
            if rest is not None:
                completion = 1 + rest[0], _add(cost, rest[1])
                record.reached.append(completion)
                return completion
            least = _lesser(least, _add(cost, self._bound(merged, more - 1)))
        record.least[more] = _larger(least, record.least[more])
        if _fits(least, most):
            record.missed.append((more, most))
        return None

    def _bound(self, ends: list[int], more: int) -> NetworkCost:
        """Return a lower bound of the cost of any completion by at most `more` layers."""
        more = min(more, 3 * len(ends) - 2)
        if not more:
            return self._projected(ends)
        record = self._look_up(ends, more)
        return reduce(_larger, [cost for layers, cost in record.least.items() if layers >= more])

    def _look_up(self, ends: list[int], more: int) -> _Known:
        key = tuple(sorted(ends))
        record = self._known.get(key)
        if record is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            record = self._known[key] = _Known()
        if more not in record.least:
            record.least[more] = self._least(ends, more)
        return record

    def _reductions(self, ends: list[int]) -> list[tuple[list[int], NetworkCost]]:
        """Return the ends after each layer that may help, and its cost; the best first."""
        reductions: list[tuple[tuple[int, int], list[int], NetworkCost]] = []

        def judge(taken: tuple[int, ...], layer_type: LayerType, kernel: int) -> None:
            merged = list(ends)
            for item in taken:
                merged.remove(item)
            width, cost = self._layer(layer_type, kernel, *taken)
            merged.append(width)
            reductions.append((_add(cost, self._projected(merged)), merged, cost))

        kinds = sorted(set(ends))
        for pair in combinations_with_replacement(kinds, 2):
            if pair[0] != pair[1] or ends.count(pair[0]) > 1:
                for joining in self._joining:
                    judge(pair, joining, 0)
        for kind in kinds:
            if kind != self._stage:
                judge((kind,), *self._convolving)
        reductions.sort(key=lambda item: item[0])
        return [(merged, cost) for _, merged, cost in reductions]

    def _least(self, ends: list[int], more: int) -> NetworkCost:
        """Return a lower bound of the cost of the completions that are tried.

        A wide end stays as wide, and is projected in the end, unless it is convolved, for no less;
        and each layer reduces the loose ends by at most one.
        """
        weights = []
        for number, group in enumerate(self._places):
            widths = [self._channels[end][number] for end in ends]
            narrowest = sorted([min(width, group.stage) for width in widths])
            leaving = max(*widths, sum(narrowest[: max(len(ends) - more, 1)]))
            weights.append(leaving * group.stage if leaving > group.stage else 0)
        return self._sum(weights, [0] * len(weights))

    def _layer(self, layer_type: LayerType, kernel: int, *taken: int) -> tuple[int, NetworkCost]:
        """Return the width and the cost of a layer that takes these widths."""
        key = (layer_type, kernel, *taken)
        result = self._layers.get(key)
        if result is None:
            result = self._layers[key] = self._work_out(Layer(2, layer_type, kernel, 0, 1), taken)
        return result

    def _work_out(self, layer: Layer, taken: tuple[int, ...]) -> tuple[int, NetworkCost]:
        first = self._channels[taken[0]] if taken else self._channels[self._stage]
        second = self._channels[taken[-1]] if taken else first
        costs = []
        for group, first_width, second_width in zip(self._places, first, second, strict=True):
            # As if the first were the block's input and the second the previous block's.
            other = Layer(1, LayerType.PREVIOUS_INPUT, 0, 0, 0)
            previous = group.previous if layer.type is LayerType.PREVIOUS_INPUT else second_width
            costs.append(layers_cost((other, layer), first_width, previous, group.stage))
        width = self._number([cost.widths[-1] for cost in costs])
        return width, self._sum(
            [cost.weights for cost in costs], [cost.normalised for cost in costs]
        )

    def _projected(self, ends: Sequence[int]) -> NetworkCost:
        """Return the cost of the projection of these loose ends."""
        width = ends[0]
        for end in ends[1:]:
            width = self._layer(LayerType.CONCAT, 0, width, end)[0]
        cost = self._projections.get(width)
        if cost is None:
            channels = self._channels[width]
            pairs = list(zip(channels, [group.stage for group in self._places], strict=True))
            cost = self._projections[width] = self._sum(
                [leaving * stage if leaving != stage else 0 for leaving, stage in pairs],
                [stage if leaving != stage else 0 for leaving, stage in pairs],
            )
        return cost

    def _number(self, channels: Sequence[int]) -> int:
        """Return the number that stands for these channels."""
        key = tuple(channels)
        number = self._numbers.setdefault(key, len(self._channels))
        if number == len(self._channels):
            self._channels.append(key)
        return number

    def _sum(self, weights: Sequence[int], normalised: Sequence[int]) -> NetworkCost:
        """Sum the cost of one block in each place over all blocks of the network."""
        parameters = macs = 0
        for group, its_weights, its_channels in zip(self._places, weights, normalised, strict=True):
            parameters += group.blocks * (its_weights + 2 * its_channels)
            macs += group.positions * its_weights
        return NetworkCost(parameters, macs)


def _places(
    network: NetworkSpec, on_previous: bool, input_shape: tuple[int, int, int], classes: int
) -> tuple[list[Place], NetworkCost]:
    """Return the places of a network, and its cost without any block."""
    met: list[tuple[int, int, int]] = []

    def cost_of(weighing: int) -> NetworkCost:
        """Return the cost of the network if blocks in one place have one weight."""
        met.clear()

        def cost(entering: int, previous: int, stage: int) -> BlockCost:
            met.append((entering, previous, stage))
            return BlockCost(stage, int(len(met) == weighing), 0)

        return stacked_cost(cost, on_previous, network, input_shape, classes)

    base = cost_of(0)
    places = []
    for number in range(1, len(met) + 1):
        parameters, macs = _subtract(cost_of(number), base)
        places.append(Place(*met[number - 1], parameters, macs))
    return places, base


def _add(first: NetworkCost, second: NetworkCost) -> NetworkCost:
    return NetworkCost(first[0] + second[0], first[1] + second[1])


def _subtract(first: NetworkCost, second: NetworkCost) -> NetworkCost:
    return NetworkCost(first[0] - second[0], first[1] - second[1])


def _larger(first: NetworkCost, second: NetworkCost) -> NetworkCost:
    return NetworkCost(max(first[0], second[0]), max(first[1], second[1]))


def _lesser(first: NetworkCost, second: NetworkCost) -> NetworkCost:
    return NetworkCost(min(first[0], second[0]), min(first[1], second[1]))


def _fits(cost: NetworkCost, most: NetworkCost) -> bool:
    return cost[0] <= most[0] and cost[1] <= most[1]
