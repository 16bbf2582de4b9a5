"""Limits on the cost of a block's network (CVPR 2018, section 5.2 and appendix A).

The limits count the whole network, stem and classifier included, for the images of the dataset
(:func:`blockqnn.network.cost.body_cost`). An unfinished block may be extended only by layers after
which it still has a completion within them. More layers may make a network cheaper: every loose end
widens the output, and with it the projection of the output, or the next block; an add merges two of
them. So a completion is searched among the layers that can help:

* These are an add or a concat of two loose ends, and a 1x1 convolution of an end without the
  stage's width. Any other layer leaves at least as many loose ends, of at least the same widths,
  for at least the same cost. It may still save a projection, if widths happen to add up to the
  stage's, and so may a bottleneck by its width. Such cases are not searched, so some blocks at the
  very edge of the limits are not proposed, but no block beyond it is.
* The order of layers in the code does not matter, only the widths of the loose ends and the cost so
  far. With an output projection this cost is a number, and the cheapest completions for such widths
  are cached (:mod:`blockqnn.space.constraints.completions`). Without one, the cost depends on the
  width of the output, which the following blocks take, so only a complete block can be judged. All
  completions are tried if they are few, else those of some rules
  (:mod:`blockqnn.space.constraints.reductions`). After a layer of a rule the rule continues, and
  after any layer fewer completions remain, so a block once begun can be completed.

Most unfinished blocks are so far below the limits that no single layer could exceed them, which a
quick bound shows.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial, reduce

from blockqnn.block.layer_types import types_of
from blockqnn.block.nsc import CONVOLUTIONS, KERNELS, Layer, LayerType, loose_ends
from blockqnn.errors import InvalidSettings, UnsatisfiableConstraints
from blockqnn.network.cost import (
    BlockCost,
    NetworkCost,
    body_cost,
    bottleneck_width,
    layers_cost,
    stacked_cost,
)
from blockqnn.network.spec import ImageShape, NetworkSpec
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.constraints.completions import Completions
from blockqnn.space.constraints.reductions import Body, Reductions, Rule
from blockqnn.space.constraints.widths import widths_of

_LARGEST_KERNEL = max(KERNELS[LayerType.CONVOLUTION])

_UNLIMITED = 10**30
"""More than any network costs."""


_PAID = CONVOLUTIONS | {LayerType.ADD, LayerType.BATCH_NORM}
"""The types of layers that may cost something."""


_MOST_JUDGED = 100_000
"""Most cached states of unfinished blocks: some tens of megabytes."""

_MOST_TRIED = 500
"""Number of completions up to which all are tried."""


class Limits:
    """Limits on the cost of the networks of a search, and checks of blocks against them.

    Args:
        space: the constraints, whether repeats are adaptive, and the longest block.
        network: the stacking of blocks.
        images: the shape of the images of the dataset; None if it is unknown.

    Raises:
        InvalidSettings: when the images are needed but unknown, or repeats are adaptive without
            constraints.
        UnsatisfiableConstraints: when no block of the space is within the constraints.
    """

    def __init__(
        self, space: SpaceSettings, network: NetworkSpec, images: ImageShape | None
    ) -> None:
        _check(space, images)
        self._constraints = space.constraints
        limits = self._constraints.max_parameters, self._constraints.max_macs
        self._at_most = NetworkCost(*[_UNLIMITED if limit is None else limit for limit in limits])
        self._adaptive = space.adaptive_repeats
        self._network = network
        self._smallest = network.model_copy(update={"repeats": 1}) if self._adaptive else network
        self._images = images
        types = types_of(space.layers, space.convolution)
        self._reductions = Reductions(types)
        self._on_previous = LayerType.PREVIOUS_INPUT in types
        self._judged: dict[object, bool] = {}
        self._completions = self._make_completions()
        self._check_satisfiable(space)

    def __bool__(self) -> bool:
        """Return whether anything is limited."""
        return bool(self._constraints)

    def network_for(self, body: Sequence[Layer]) -> NetworkSpec:
        """Return the stacking of a block: with adaptive repeats, as often as the limits allow."""
        if not self._adaptive:
            return self._network
        for repeats in range(self._network.repeats, 1, -1):
            network = self._network.model_copy(update={"repeats": repeats})
            if self._allow(self._cost(body, network)):
                return network
        return self._smallest

    def admit(self, body: Sequence[Layer]) -> bool:
        """Return whether the block of these layers is within the limits."""
        return not self._constraints or self._allow(self._cost(body, self._smallest))

    def admit_any_layer(self, body: Body) -> bool:
        """Return whether every block of these and one more layer is certainly within the limits."""

        def cost(entering: int, previous: int, stage: int) -> BlockCost:
            previous = previous if self._on_previous else 0
            return _most(body, entering, previous, stage, self._network.output_projection)

        return self._allow(self._stacked(cost))

    def completable(self, body: Body, more: int) -> bool:
        """Return whether at most `more` further layers complete a block within the limits."""
        if self._completions is not None:
            begun = reduce(self._completions.extend, body, self._completions.start)
            return self._completions.within(begun, more, self._at_most)
        if self.admit(body):
            return True
        if not more or not self._allow(self._stacked(partial(_least, body, more))):
            return False
        state = (more, _state(body))
        verdict = self._judged.get(state)
        if verdict is None:
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            verdict = any(self._completes(rule, body, more) for rule in self._reductions.rules)
            ends = len(loose_ends(body))
            if not verdict and (ends * (ends + 1)) ** more <= _MOST_TRIED:
                verdict = any(
                    self.completable(merged, more - 1) for merged in self._reductions.all(body)
                )
            self._judged[state] = verdict
        return verdict

    def _completes(self, rule: Rule, body: Body, more: int) -> bool:
        """Return whether at most `more` layers of a rule bring a block within the limits."""
        for _ in range(more):
            merged = self._reductions.next(rule, body)
            if merged is None:
                return False
            if self.admit(merged):
                return True
            body = merged
        return False

    def continuable(self, body: Body, more: int) -> Callable[[Layer], bool]:
        """Return a check whether a next layer is :meth:`completable` with `more` others."""
        completions, most = self._completions, self._at_most
        if completions is None:
            return lambda layer: self.completable((*body, layer), more)
        begun = reduce(completions.extend, body, completions.start)
        return lambda layer: completions.within(completions.extend(begun, layer), more, most)

    def _make_completions(self) -> Completions | None:
        """Return the search for completions if outputs are projected; else None."""
        if not (self._constraints and self._network.output_projection):
            return None
        assert self._images is not None
        return Completions(
            self._smallest,
            self._on_previous,
            self._reductions.joining,
            self._reductions.convolving,
            self._images.size,
            self._images.classes,
        )

    def _cost(self, body: Sequence[Layer], network: NetworkSpec) -> NetworkCost:
        assert self._images is not None
        return body_cost(body, network, self._images.size, self._images.classes)

    def _stacked(self, cost: Callable[[int, int, int], BlockCost]) -> NetworkCost:
        assert self._images is not None
        images = self._images
        return stacked_cost(cost, self._on_previous, self._smallest, images.size, images.classes)

    def _allow(self, cost: NetworkCost) -> bool:
        return self._constraints.allow(cost.parameters, cost.macs)

    def _check_satisfiable(self, space: SpaceSettings) -> None:
        if not self._constraints:
            return
        start = (
            (Layer(1, LayerType.IDENTITY, 0, 0, 0),)
            if space.start_with_identity and space.max_layers > 1
            else ()
        )
        if self.completable(start, space.max_layers - 1 - len(start)):
            return
        cost = self._cost(start, self._smallest)
        limits = [
            f"{name} {limit:,}"
            for name, limit in (
                ("maxParameters", self._constraints.max_parameters),
                ("maxMacs", self._constraints.max_macs),
            )
            if limit is not None
        ]
        raise UnsatisfiableConstraints(
            f"space.constraints, {' and '.join(limits)}, leaves no block: even around a block that "
            f"computes nothing the network has {cost.parameters:,} parameters and takes "
            f"{cost.macs:,} multiply-accumulates. Raise the limit, or give fewer or smaller "
            "network.filters or fewer network.repeats."
        )


def _state(body: Body) -> object:
    """Return what the cost of all completions depends on: loose ends, and layers with a cost."""
    widths = widths_of(body)
    ends = Counter([widths[end] for end in loose_ends(body)])
    paid = Counter(
        [
            (
                layer.type,
                layer.kernel,
                frozenset(Counter(widths[source] for source in layer[3:]).items()),
            )
            for layer in body
            if layer.type in _PAID
        ]
    )
    return frozenset(ends.items()), frozenset(paid.items())


def _most(body: Body, entering: int, previous: int, stage: int, projection: bool) -> BlockCost:
    """Return an upper bound of the cost of any block with these layers and one more."""
    widths, weights, normalised = layers_cost(body, entering, previous, stage, "all")
    widest = max(*widths, previous)
    # One more convolution, an add or a batch norm, and what that adds to the output.
    weights += _LARGEST_KERNEL * _LARGEST_KERNEL * widest * stage + widest * widest
    normalised += stage + widest
    leaving = sum([widths[end] for end in loose_ends(body)]) + max(2 * widest, stage)
    if not projection:
        return BlockCost(leaving, weights, normalised)
    return BlockCost(stage, weights + leaving * stage, normalised + stage)


def _least(body: Body, more: int, entering: int, previous: int, stage: int) -> BlockCost:
    """Return a lower bound of the cost of blocks that begin with these layers, unprojected.

    It holds for the blocks that are searched: those without a further bottleneck.
    """
    # Some loose end follows a convolution, if there is one, and is no narrower than that.
    convolved = any(layer.type in CONVOLUTIONS for layer in body)
    narrowed = any(layer.type is LayerType.BOTTLENECK for layer in body)
    least = bottleneck_width(stage) if narrowed else stage
    cost = layers_cost(body, entering, previous, stage, "none")
    leaving = least if convolved else min(entering, least)
    ends = loose_ends(body)
    if len(ends) > more:
        # Each layer more leaves at most one loose end less, none narrower than it was or than that.
        narrowest = sorted([min(cost.widths[end], least) for end in ends])
        leaving = max(leaving, sum(narrowest[: len(ends) - more]))
    return BlockCost(leaving, cost.weights, cost.normalised)


def _check(space: SpaceSettings, images: ImageShape | None) -> None:
    if space.adaptive_repeats and not space.constraints:
        raise InvalidSettings(
            "space.adaptiveRepeats is true, but space.constraints limits nothing that the repeats "
            "could adapt to; give maxParameters or maxMacs, or omit adaptiveRepeats."
        )
    if space.constraints and images is None:
        raise InvalidSettings(
            "space.constraints limits what networks cost, which depends on the images, and those "
            "of this dataset are not known before they are read; set dataset.shape to their "
            "channels, height, width and classes."
        )
