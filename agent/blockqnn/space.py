"""The search space: which layers may come next, and how one of them is drawn at random.

After any prefix of a block the legal layers are generated, never filtered out of illegal ones:

* at every index below the limit: a convolution, a pooling or an identity of any earlier layer (of
  the block's input at index 1), an add or a concat of any two earlier layers, or the terminal;
* at the limit: the terminal alone.

What the papers leave open, and the reading taken here: the first layer is free and the terminal may
come at once (CVPR 2018, Fig. 4 shows both), and the limit includes the terminal.

The agent deals in numbers of layers, which are small integers: each legal layer has one, in the
order of the index, then of the type. The number of a layer also stands for the state of having
chosen it last; :data:`START` is the state before the first layer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Literal, TypeVar

from blockqnn.errors import InvalidBlock
from blockqnn.nsc import KERNELS, PREDECESSORS, Block, Layer, LayerType
from blockqnn.settings import SpaceSettings

START = 0
"""The state before the first layer; no layer has this number."""

RandomStep = Literal["TypeFirst", "Flat"]
"""How a random layer is drawn: its type first and then within it, or among all layers alike."""

Option = TypeVar("Option")


@dataclass(frozen=True, slots=True)
class Choices:
    """The legal next layers."""

    numbers: range
    """Their numbers, ascending."""
    by_type: tuple[range, ...]
    """The same numbers, apart for each type of layer that is legal, in the order of the types."""

    def __len__(self) -> int:
        return len(self.numbers)


class Space:
    """The blocks that a search may propose."""

    def __init__(self, settings: SpaceSettings) -> None:
        self.max_layers = settings.max_layers
        self._layers: list[Layer] = [Layer(0, LayerType.IDENTITY, 0, 0, 0)]  # stands for START
        self._choices = [self._number_layers(index) for index in range(1, self.max_layers + 1)]
        self._numbers = {_key(layer): number for number, layer in enumerate(self._layers)}

    def _number_layers(self, index: int) -> Choices:
        first = len(self._layers)
        ranges: list[range] = []
        for layer_type in LayerType:
            start = len(self._layers)
            if index < self.max_layers or layer_type is LayerType.TERMINAL:
                self._layers.extend(_layers(index, layer_type))
            if len(self._layers) > start:
                ranges.append(range(start, len(self._layers)))
        return Choices(range(first, len(self._layers)), tuple(ranges))

    def choices(self, index: int) -> Choices:
        """Return the layers that may stand at `index`, from 1 to the limit, behind any prefix.

        In this space only the length of a prefix matters to what may follow it.
        """
        return self._choices[index - 1]

    def layer(self, number: int) -> Layer:
        """Return the layer with a number."""
        return self._layers[number]

    def is_terminal(self, number: int) -> bool:
        """Whether a layer ends its block."""
        return self._layers[number].type is LayerType.TERMINAL

    def decode(self, numbers: Sequence[int]) -> Block:
        """Return the block with the layers of these numbers."""
        return Block(tuple([self._layers[number] for number in numbers]))

    def encode(self, block: Block) -> tuple[int, ...]:
        """Return the numbers of a block's layers.

        Raises:
            InvalidBlock: when the block does not belong to this space.
        """
        if len(block) > self.max_layers:
            raise InvalidBlock(
                f"The block {block} has {len(block)} layers, the terminal included, but this space "
                f"ends at maxLayers {self.max_layers}; it comes from another search."
            )
        return tuple([self._numbers[_key(layer)] for layer in block.layers])

    def draw(self, choices: Choices, random: Random, step: RandomStep) -> int:
        """Draw one of the choices at random and return its number."""
        if step == "Flat":
            return pick(choices.numbers, random)
        return pick(pick(choices.by_type, random), random)

    def random_block(self, random: Random, step: RandomStep) -> Block:
        """Draw a whole block, layer by layer."""
        numbers: list[int] = []
        state = START
        while not self.is_terminal(state):
            state = self.draw(self.choices(len(numbers) + 1), random, step)
            numbers.append(state)
        return self.decode(numbers)


def pick(options: Sequence[Option], random: Random) -> Option:
    """Draw one of the options, each with the same probability.

    Python promises to repeat `Random.random` in later versions, but not the methods on top of it:
    an upgrade in the middle of a search must not change what it proposes.
    """
    return options[int(random.random() * len(options))]


def _layers(index: int, layer_type: LayerType) -> Iterator[Layer]:
    earlier = range(1, index) if index > 1 else range(1)
    count = PREDECESSORS[layer_type]
    for kernel in KERNELS[layer_type]:
        for predecessors in combinations(earlier, count):
            pred1, pred2 = (*predecessors, 0, 0)[:2]
            yield Layer(index, layer_type, kernel, pred1, pred2)


def _key(layer: Layer) -> tuple[int, ...]:
    """A layer in plain integers, which hash ten times faster than a member of an enumeration."""
    return (layer.index, int(layer.type), layer.kernel, layer.pred1, layer.pred2)
