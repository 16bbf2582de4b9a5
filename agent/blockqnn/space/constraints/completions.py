"""The cheapest completions of an unfinished block, where outputs are projected.

With an output projection every block of the network takes and leaves the widths of the stages,
whatever it computes, so the network has the same few *places* for any block: its first in each
stage, the one after that, and the rest. What the network costs is then a sum: of what each layer
costs in all places together, and of what the projection of the loose ends does. A completion
depends on the widths of the loose ends alone, and what was paid for them only lowers what is left
to spend. So for each set of widths it is kept what completions were found for, and what was too
little to find one: further unfinished blocks with as wide loose ends are judged by that.

A width here is a number that stands for the channels in each of the places, and what joining,
convolving and projecting it gives and costs is worked out once.
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
"""For how many sets of widths completions are remembered: some tens of megabytes."""

_FREE = NetworkCost(0, 0)


class Place(NamedTuple):
    """Blocks of the network that cost the same."""

    entering: int
    """Channels of their input."""
    previous: int
    """Channels of the previous block's input."""
    stage: int
    """Channels of their convolutions and of their output."""
    blocks: int
    """How many there are."""
    positions: int
    """The positions of the image, in all these blocks together."""


class Unfinished(NamedTuple):
    """The layers of a block as far as they are chosen."""

    widths: tuple[int, ...]
    """Those of the input and of each layer."""
    paid: NetworkCost
    """What the network costs without the projections."""
    loose: tuple[bool, ...]
    """Whether the input, or a layer, is a loose end."""

    @property
    def ends(self) -> list[int]:
        """The widths of the loose ends."""
        return [width for width, loose in zip(self.widths, self.loose, strict=True) if loose]


@dataclass(slots=True)
class _Known:
    """What is known of the completions for some loose ends, each by a number of layers."""

    least: dict[int, NetworkCost] = field(default_factory=dict)
    """What any by at most so many layers costs at least."""
    reached: list[tuple[int, NetworkCost]] = field(default_factory=list)
    """What one by so many layers costs."""
    missed: list[tuple[int, NetworkCost]] = field(default_factory=list)
    """For what there is none by at most so many layers."""

    def find(self, more: int, most: NetworkCost) -> tuple[int, NetworkCost] | None:
        """Return the layers and the cost of a completion that keeps both."""
        for found in self.reached:
            if found[0] <= more and _fits(found[1], most):
                return found
        return None

    def excludes(self, more: int, most: NetworkCost) -> bool:
        """Whether there certainly is none."""
        for layers, cost in self.least.items():
            if layers >= more and not _fits(cost, most):
                return True
        return any(layers >= more and _fits(most, cost) for layers, cost in self.missed)


class Completions:
    """Finds out what completes a block for how much.

    Args:
        network: how blocks are stacked; with an output projection.
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
        self._stage = self._number([place.stage for place in self._places])
        entering = self._number([place.entering for place in self._places])
        self.start = Unfinished((entering,), base, (True,))
        """A block without a layer."""
        self._layers: dict[tuple[int, ...], tuple[int, NetworkCost]] = {}
        self._projections: dict[int, NetworkCost] = {}
        self._known: dict[tuple[int, ...], _Known] = {}

    def extend(self, block: Unfinished, layer: Layer) -> Unfinished:
        """Return a block with one layer more."""
        taken = layer.predecessors
        width, cost = self._layer(layer.type, layer.kernel, *[block.widths[one] for one in taken])
        loose = list(block.loose)
        for one in (0, *taken):
            loose[one] = False
        return Unfinished((*block.widths, width), _add(block.paid, cost), (*loose, True))

    def within(self, block: Unfinished, more: int, most: NetworkCost) -> bool:
        """Whether some completion by at most so many layers keeps the network within a cost.

        Only those layers are looked for that can help (:mod:`blockqnn.limits`).
        """
        left = _subtract(most, block.paid)
        return _fits(_FREE, left) and self._complete(block.ends, more, left) is not None

    def _complete(
        self, ends: list[int], more: int, most: NetworkCost
    ) -> tuple[int, NetworkCost] | None:
        """Return the layers and the cost of a completion within some cost; None without one."""
        at_once = self._projected(ends)
        if _fits(at_once, most):
            return 0, at_once
        # Each end, and each result of joining two, is convolved at most once.
        more = min(more, 3 * len(ends) - 2)
        if not more:
            return None
        known = self._look_up(ends, more)
        found = known.find(more, most)
        if found is not None or known.excludes(more, most):
            return found
        least = at_once
        for merged, cost in self._mergers(ends):
            left = _subtract(most, cost)
            rest = self._complete(merged, more - 1, left) if _fits(_FREE, left) else None
            if rest is not None:
                found = 1 + rest[0], _add(cost, rest[1])
                known.reached.append(found)
                return found
            least = _lesser(least, _add(cost, self._bound(merged, more - 1)))
        known.least[more] = _larger(least, known.least[more])
        if _fits(least, most):
            known.missed.append((more, most))
        return None

    def _bound(self, ends: list[int], more: int) -> NetworkCost:
        """Return no more than any completion costs by at most so many layers."""
        more = min(more, 3 * len(ends) - 2)
        if not more:
            return self._projected(ends)
        known = self._look_up(ends, more)
        return reduce(_larger, [cost for layers, cost in known.least.items() if layers >= more])

    def _look_up(self, ends: list[int], more: int) -> _Known:
        key = tuple(sorted(ends))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = _Known()
        if more not in known.least:
            known.least[more] = self._least(ends, more)
        return known

    def _mergers(self, ends: list[int]) -> list[tuple[list[int], NetworkCost]]:
        """Return the ends after each layer that may help, and its cost; the likeliest first."""
        found: list[tuple[tuple[int, int], list[int], NetworkCost]] = []

        def judge(taken: tuple[int, ...], layer_type: LayerType, kernel: int) -> None:
            left = list(ends)
            for one in taken:
                left.remove(one)
            width, cost = self._layer(layer_type, kernel, *taken)
            left.append(width)
            found.append((_add(cost, self._projected(left)), left, cost))

        kinds = sorted(set(ends))
        for pair in combinations_with_replacement(kinds, 2):
            if pair[0] != pair[1] or ends.count(pair[0]) > 1:
                for joining in self._joining:
                    judge(pair, joining, 0)
        for kind in kinds:
            if kind != self._stage:
                judge((kind,), *self._convolving)
        found.sort(key=lambda one: one[0])
        return [(left, cost) for _, left, cost in found]

    def _least(self, ends: list[int], more: int) -> NetworkCost:
        """Return no more than any completion costs that is looked for.

        A wide end stays as wide, and is projected in the end, unless it is convolved for no less;
        and each layer more leaves at most one loose end less.
        """
        weights = []
        for number, place in enumerate(self._places):
            widths = [self._channels[end][number] for end in ends]
            narrowest = sorted([min(width, place.stage) for width in widths])
            leaving = max(*widths, sum(narrowest[: max(len(ends) - more, 1)]))
            weights.append(leaving * place.stage if leaving > place.stage else 0)
        return self._sum(weights, [0] * len(weights))

    def _layer(self, layer_type: LayerType, kernel: int, *taken: int) -> tuple[int, NetworkCost]:
        """Return the width of a layer that takes these, and what it costs."""
        key = (layer_type, kernel, *taken)
        known = self._layers.get(key)
        if known is None:
            known = self._layers[key] = self._work_out(Layer(2, layer_type, kernel, 0, 1), taken)
        return known

    def _work_out(self, layer: Layer, taken: tuple[int, ...]) -> tuple[int, NetworkCost]:
        first = self._channels[taken[0]] if taken else self._channels[self._stage]
        second = self._channels[taken[-1]] if taken else first
        costs = []
        for place, one, two in zip(self._places, first, second, strict=True):
            # As if the one were the block's input and the other the previous one's.
            other = Layer(1, LayerType.PREVIOUS_INPUT, 0, 0, 0)
            previous = place.previous if layer.type is LayerType.PREVIOUS_INPUT else two
            costs.append(layers_cost((other, layer), one, previous, place.stage))
        width = self._number([cost.widths[-1] for cost in costs])
        return width, self._sum(
            [cost.weights for cost in costs], [cost.normalised for cost in costs]
        )

    def _projected(self, ends: Sequence[int]) -> NetworkCost:
        """Return what the projection of these loose ends costs."""
        width = ends[0]
        for end in ends[1:]:
            width = self._layer(LayerType.CONCAT, 0, width, end)[0]
        known = self._projections.get(width)
        if known is None:
            channels = self._channels[width]
            pairs = list(zip(channels, [place.stage for place in self._places], strict=True))
            known = self._projections[width] = self._sum(
                [leaving * stage if leaving != stage else 0 for leaving, stage in pairs],
                [stage if leaving != stage else 0 for leaving, stage in pairs],
            )
        return known

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
        for place, its_weights, its_channels in zip(self._places, weights, normalised, strict=True):
            parameters += place.blocks * (its_weights + 2 * its_channels)
            macs += place.positions * its_weights
        return NetworkCost(parameters, macs)


def _places(
    network: NetworkSpec, on_previous: bool, input_shape: tuple[int, int, int], classes: int
) -> tuple[list[Place], NetworkCost]:
    """Return the places of a network, and what it costs without any block."""
    met: list[tuple[int, int, int]] = []

    def cost_of(weighing: int) -> NetworkCost:
        """Return what the network costs where blocks in one place have one weight."""
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


def _add(one: NetworkCost, two: NetworkCost) -> NetworkCost:
    return NetworkCost(one[0] + two[0], one[1] + two[1])


def _subtract(one: NetworkCost, two: NetworkCost) -> NetworkCost:
    return NetworkCost(one[0] - two[0], one[1] - two[1])


def _larger(one: NetworkCost, two: NetworkCost) -> NetworkCost:
    return NetworkCost(max(one[0], two[0]), max(one[1], two[1]))


def _lesser(one: NetworkCost, two: NetworkCost) -> NetworkCost:
    return NetworkCost(min(one[0], two[0]), min(one[1], two[1]))


def _fits(cost: NetworkCost, most: NetworkCost) -> bool:
    return cost[0] <= most[0] and cost[1] <= most[1]
