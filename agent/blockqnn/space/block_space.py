"""The search space: the layers that may come next, and the random draw of one of them.

The legal layers after a prefix of a block are generated, never filtered out of illegal ones:

* at every index below the limit: a convolution, a pooling or an identity of any earlier layer (of
  the block's input at index 1), an add or a concat of any two earlier layers, or the terminal; of
  these types those that the space has, and any other types that it has
  (:mod:`blockqnn.block.layer_types`);
* at the limit: the terminal alone.

With constraints, of these only the layers after which some block within the limits is left
(:mod:`blockqnn.space.constraints.limits`).

What the papers leave open, and the reading taken here: the first layer is free and the terminal may
come at once (CVPR 2018, Fig. 4 shows both), and the limit includes the terminal.

The agent works with numbers of layers, which are small integers: each legal layer has one, in the
order of the index, then of the type. A block is the sequence of its layers' numbers
(:mod:`blockqnn.space.protocol`).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from random import Random
from typing import cast

from blockqnn.block.graph import canonical_hash
from blockqnn.block.layer_types import types_of
from blockqnn.block.nsc import KERNELS, PREDECESSORS, Block, Layer, LayerType, loose_ends
from blockqnn.errors import InvalidBlock
from blockqnn.network.spec import ImageShape, NetworkSpec
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.constraints.limits import Limits
from blockqnn.space.constraints.widths import widths_of
from blockqnn.space.decisions import (
    STATE_PARTS,
    abstract_action_of,
    describe_state,
    draw_layer,
    features,
    value_keys,
)
from blockqnn.space.decisions import abstract_actions as legal_abstract_actions
from blockqnn.space.features import encode_block
from blockqnn.space.mutation import mutate_body
from blockqnn.space.protocol import (
    Candidate,
    Choices,
    Key,
    Prefix,
    RandomStep,
    draw_candidate,
    pick,
)

_MOST_CHANGES = 100
"""Number of changes that are tried before a block counts as the only one; two to eight suffice."""


_MOST_KNOWN = 200_000
"""Most unfinished blocks with cached layers; a search of the papers' size has fewer."""


class Space:
    """The blocks that a search may propose.

    Args:
        settings: the settings of the space.
        limits: the limits on the cost of their networks; None, or empty limits, for no limit.
        network: the stacking of blocks; used by encodings only.
        images: the shape of the images; used by encodings only.
    """

    def __init__(
        self,
        settings: SpaceSettings,
        limits: Limits | None = None,
        network: NetworkSpec | None = None,
        images: ImageShape | None = None,
    ) -> None:
        self._limits = limits or None
        self._network = network
        self._images = images
        self._known: dict[Candidate, Choices] = {}
        self.max_layers = settings.max_layers
        self._start_with_identity = settings.start_with_identity
        self._settings = settings
        self._types = types_of(settings.layers, settings.convolution)
        self._codes = tuple([int(layer_type) for layer_type in self._types])  # which hash faster
        self._layers: list[Layer] = [Layer(0, LayerType.IDENTITY, 0, 0, 0)]  # stands for START
        self._choices = [self._number_layers(index) for index in range(1, self.max_layers + 1)]
        self._keys = [_key(layer) for layer in self._layers]
        self._numbers = {key: number for number, key in enumerate(self._keys)}

    def _number_layers(self, index: int) -> Choices:
        first = len(self._layers)
        ranges: list[range] = []
        for layer_type in self._types:
            start = len(self._layers)
            if self._forced(index) in (None, layer_type):
                self._layers.extend(_layers(index, layer_type))
            if len(self._layers) > start:
                ranges.append(range(start, len(self._layers)))
        return Choices(range(first, len(self._layers)), tuple(ranges))

    def _forced(self, index: int) -> LayerType | None:
        """Return the type that is legal at an index if there is only one, else None."""
        if index == 1 and self._start_with_identity:
            return LayerType.IDENTITY
        return LayerType.TERMINAL if index == self.max_layers else None

    @property
    def longest(self) -> int:
        """The maximum number of layers of a block, terminal included."""
        return self.max_layers

    def choices(self, prefix: Prefix) -> Choices:
        """Return the layers that may follow a prefix.

        Without constraints they depend on the length of the prefix only.
        """
        unmasked = self._choices[len(prefix)]
        if self._limits is None:
            return unmasked
        key = tuple(prefix)
        masked = self._known.get(key)
        if masked is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            masked = self._known[key] = self._mask(unmasked, self._read(prefix), self._limits)
        return masked

    def _mask(self, choices: Choices, layers: Sequence[Layer], limits: Limits) -> Choices:
        """Remove the layers after which no block can stay within the limits."""
        body = tuple(layers)
        more = self.max_layers - 2 - len(body)
        if limits.admit(body) and (more < 0 or limits.admit_any_layer(body)):
            return choices
        is_continuable = limits.continuable(body, more)
        # Layers of one kind take equally wide results, of which as many are loose.
        ends, alike = frozenset(loose_ends(body)), dict[object, int]()
        kinds = [
            alike.setdefault((width, position in ends), len(alike))
            for position, width in enumerate(widths_of(body))
        ]
        judged: dict[tuple[int, ...], bool] = {}

        def is_legal(number: int) -> bool:
            _, code, kernel, pred1, pred2 = self._keys[number]
            first, second = kinds[pred1], kinds[pred2]
            pair = (first, second) if first < second else (second, first)
            kind = (code, kernel, *pair)
            verdict = judged.get(kind)
            if verdict is None:
                layer = self._layers[number]
                is_last = layer.type is LayerType.TERMINAL
                verdict = judged[kind] = limits.admit(body) if is_last else is_continuable(layer)
            return verdict

        numbers = [number for number in choices.numbers if is_legal(number)]
        legal = frozenset(numbers)
        by_type = [[number for number in group if number in legal] for group in choices.by_type]
        return Choices(numbers, tuple([group for group in by_type if group]), legal)

    def layer(self, number: int) -> Layer:
        """Return the layer with this number."""
        return self._layers[number]

    def is_complete(self, prefix: Prefix) -> bool:
        """Return whether a prefix ends with a terminal."""
        return bool(prefix) and self._layers[prefix[-1]].type is LayerType.TERMINAL

    def decode(self, numbers: Candidate) -> Block:
        """Return the block with the layers of these numbers."""
        return Block(tuple([self._layers[number] for number in numbers]))

    def encode(self, block: Block) -> Candidate:
        """Return the numbers of a block's layers.

        Raises:
            InvalidBlock: when the block does not belong to this space.
        """
        if len(block) > self.max_layers:
            raise InvalidBlock(
                f"The block {block} has {len(block)} layers, the terminal included, but this space "
                f"ends at maxLayers {self.max_layers}; it comes from another search."
            )
        if self._start_with_identity and block.layers[0].type is not LayerType.IDENTITY:
            raise InvalidBlock(
                f"The block {block} starts with {block.layers[0]}, but in this space, with "
                "startWithIdentity, every block starts with (1,4,0,0,0); it comes from another "
                "search."
            )
        for layer in block.layers:
            if layer.type not in self._types:
                raise InvalidBlock(
                    f"The block {block} has the layer {layer}, but this space, with convolution "
                    f"{self._settings.convolution} and the layers "
                    f"{', '.join(self._settings.layers)}, has none of its type; it comes from "
                    "another search."
                )
        if self._limits is not None and not self._limits.admit(block.body):
            raise InvalidBlock(
                f"The network of the block {block} costs more than space.constraints allow; it "
                "comes from another search."
            )
        return tuple([self._numbers[_key(layer)] for layer in block.layers])

    def identity(self, candidate: Candidate) -> str:
        """Return the canonical hash of a block."""
        return canonical_hash(self.decode(candidate))

    def mutate(self, candidate: Candidate, random: Random) -> Candidate:
        """Change one thing about a block (:mod:`blockqnn.space.mutation`).

        In a space of a single block (maxLayers 2 and startWithIdentity) it is returned unchanged.
        """
        body = self._read(candidate)[:-1]
        for _ in range(_MOST_CHANGES):
            changed = mutate_body(body, self._types, random)
            if changed is not None and self._admits(changed):
                end = Layer(len(changed) + 1, LayerType.TERMINAL, 0, 0, 0)
                return tuple([self._numbers[_key(layer)] for layer in (*changed, end)])
        return candidate

    def _admits(self, body: Sequence[Layer]) -> bool:
        if self._start_with_identity and (not body or body[0].type is not LayerType.IDENTITY):
            return False
        if len(body) >= self.max_layers:
            return False
        return self._limits is None or self._limits.admit(body)

    def random_block(self, random: Random, step: RandomStep) -> Block:
        """Draw a complete block, layer by layer."""
        return self.decode(draw_candidate(self, random, step))

    def _read(self, prefix: Prefix) -> list[Layer]:
        return [self._layers[number] for number in prefix]

    def state(self, prefix: Prefix) -> Key:
        """Return the features of a prefix that matter to the next layer.

        See :mod:`blockqnn.space.decisions`. If constraints exclude layers, the remaining
        abstract actions are a part of it.
        """
        layers = self._read(prefix)
        state = describe_state(layers, self._forced(len(prefix) + 1))
        masked = self.choices(prefix).masked
        if masked is None:
            return state
        legal = {abstract_action_of(layers, self._layers[number]) for number in masked}
        actions = legal_abstract_actions(state, self._codes)
        return (*state, tuple([action for action in actions if action in legal]))

    def abstract_actions(self, state: Key) -> Sequence[Key]:
        """Return the operations with the relations of their predecessors that are legal."""
        if len(state) > STATE_PARTS:
            return cast(tuple[Key, ...], state[STATE_PARTS])
        return legal_abstract_actions(state, self._codes)

    def abstract_action(self, prefix: Prefix, number: int) -> Key:
        """Return the operation of the next layer and the relations of its predecessors."""
        return abstract_action_of(self._read(prefix), self._layers[number])

    def draw(self, prefix: Prefix, abstract_action: Key, random: Random) -> int:
        """Draw the predecessors that an abstract action leaves open."""
        choices = self.choices(prefix)
        if choices.masked is not None:
            layers = self._read(prefix)
            legal = [
                number
                for number in choices.numbers
                if abstract_action_of(layers, self._layers[number]) == abstract_action
            ]
            return pick(legal, random)
        return self._numbers[_key(draw_layer(self._read(prefix), abstract_action, random))]

    def value_keys(self, state: Key, abstract_action: Key) -> tuple[Key, Key]:
        """Return the names of an abstract action's values, the coarse and the fine."""
        return value_keys(state, abstract_action)

    def encoding(self, candidate: Candidate) -> Mapping[Key, float]:
        """Return the features of a block (:func:`blockqnn.space.features.encode_block`)."""
        return encode_block(self.decode(candidate), self._network, self._images)

    def features(self, prefix: Prefix, number: int) -> Sequence[Key]:
        """Return the features of the next layer that may explain the reward."""
        return features(self._read(prefix), self._layers[number])


def _layers(index: int, layer_type: LayerType) -> Iterator[Layer]:
    if layer_type is LayerType.PREVIOUS_INPUT and index == 1:
        return
    earlier = range(1, index) if index > 1 else range(1)
    count = PREDECESSORS[layer_type]
    for kernel in KERNELS[layer_type]:
        for predecessors in combinations(earlier, count):
            pred1, pred2 = (*predecessors, 0, 0)[:2]
            yield Layer(index, layer_type, kernel, pred1, pred2)


def _key(layer: Layer) -> tuple[int, ...]:
    """Return a layer in plain integers, which hash ten times faster than members of an enum."""
    return (layer.index, int(layer.type), layer.kernel, layer.pred1, layer.pred2)
