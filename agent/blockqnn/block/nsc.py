"""Network Structure Code: the papers' notation for a block of layers.

A block is a sequence of layers, each a 5-tuple ``(index, type, kernel, pred1, pred2)``
(CVPR 2018, section 3.1 and Table 1)::

    layer            type   kernel    predecessors
    convolution      1      1, 3, 5   1   (pre-activation cell, PCC: ReLU, convolution, batch norm)
    max pooling      2      1, 3      1
    average pooling  3      1, 3      1
    identity         4      0         1
    add              5      0         2
    concat           6      0         2
    terminal         7      0         0

Three more types take the place of the first where ReLU, convolution and batch norm are searched as
separate layers (CVPR 2018, Fig. 9; AAAI 2017, Fig. 3). The papers print no codes for them; these
follow the terminal's, so that a code means the same in either space::

    convolution      8      1, 3, 5   1   (the convolution alone, without bias)
    ReLU             9      0         1
    batch norm       10     0         1

A ReLU, a convolution and a batch norm in a row are the cell of type 1, to the last weight.

Three further types occur only where `space.layers` asks for them. The journal version (TPAMI 2020)
refers to networks that are made of them; its codes are not known here, so these follow the
others::

    separable convolution  11  3, 5   1   (ReLU, depthwise convolution, 1x1 convolution, batch norm)
    bottleneck             12  1      1   (ReLU, 1x1 convolution to a quarter width, batch norm)
    previous input         13  0      0   (what the previous block of the network took as its input)

The separable convolution is Xception's (Chollet 2017): nothing between its two convolutions, the
first of which has one filter for each channel. The bottleneck is the first of the three
convolutions of He et al. 2016: a quarter of the stage's width, rounded down, at least 1; a
convolution of its result costs a quarter. The previous input has no predecessor in its block:
whatever takes it skips the previous block, as the cells of NASNet do (Zoph et al. 2018). Where the
image was halved in between, so is the previous input, in the same way; in the first block, which
has none before it, it is the block's own input. It cannot come first, because nobody else would
take the block's own input.

Indices count from 1 without a gap. A predecessor is the index of an earlier layer; the first
layer has none earlier and names 0, the block's input, as both exemplars of Fig. 2 do. Unused
fields are 0. Every layer that nothing consumes is concatenated into the block's output.

What the papers leave open, and the reading taken here:

* predecessor 0 is legal at index 1 only, where it is the only choice (Table 1 and the exemplars);
* the two predecessors of add and concat are different and their order means nothing, so they are
  written in ascending order; an add or concat therefore comes third at the earliest;
* the terminal layer is a part of the code and of its index limit, and may come first (Fig. 4).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Self

from blockqnn.errors import InvalidBlock


class LayerType(IntEnum):
    """Operation of a layer. The values are the type codes; those up to 7 are the papers'."""

    CONVOLUTION = 1
    MAX_POOLING = 2
    AVERAGE_POOLING = 3
    IDENTITY = 4
    ADD = 5
    CONCAT = 6
    TERMINAL = 7
    BARE_CONVOLUTION = 8
    RELU = 9
    BATCH_NORM = 10
    SEPARABLE_CONVOLUTION = 11
    BOTTLENECK = 12
    PREVIOUS_INPUT = 13


KERNELS: dict[LayerType, tuple[int, ...]] = {
    LayerType.CONVOLUTION: (1, 3, 5),
    LayerType.MAX_POOLING: (1, 3),
    LayerType.AVERAGE_POOLING: (1, 3),
    LayerType.IDENTITY: (0,),
    LayerType.ADD: (0,),
    LayerType.CONCAT: (0,),
    LayerType.TERMINAL: (0,),
    LayerType.BARE_CONVOLUTION: (1, 3, 5),
    LayerType.RELU: (0,),
    LayerType.BATCH_NORM: (0,),
    LayerType.SEPARABLE_CONVOLUTION: (3, 5),
    LayerType.BOTTLENECK: (1,),
    LayerType.PREVIOUS_INPUT: (0,),
}
"""The kernel sizes that each type of layer may have; 0 stands for none."""

PREDECESSORS: dict[LayerType, int] = {
    LayerType.CONVOLUTION: 1,
    LayerType.MAX_POOLING: 1,
    LayerType.AVERAGE_POOLING: 1,
    LayerType.IDENTITY: 1,
    LayerType.ADD: 2,
    LayerType.CONCAT: 2,
    LayerType.TERMINAL: 0,
    LayerType.BARE_CONVOLUTION: 1,
    LayerType.RELU: 1,
    LayerType.BATCH_NORM: 1,
    LayerType.SEPARABLE_CONVOLUTION: 1,
    LayerType.BOTTLENECK: 1,
    LayerType.PREVIOUS_INPUT: 0,
}
"""Number of predecessors of each type of layer."""

CONVOLUTIONS = frozenset(
    {
        LayerType.CONVOLUTION,
        LayerType.BARE_CONVOLUTION,
        LayerType.SEPARABLE_CONVOLUTION,
        LayerType.BOTTLENECK,
    }
)
"""The types of layers that convolve."""


class Layer(NamedTuple):
    """One layer of a block: the 5-tuple of the papers."""

    index: int  # type: ignore[assignment]  # the papers' name; tuple.index is never called
    type: LayerType
    kernel: int
    pred1: int
    pred2: int

    @property
    def predecessors(self) -> tuple[int, ...]:
        """The indices of the layers that feed this one; 0 is the input of the block."""
        return (self.pred1, self.pred2)[: PREDECESSORS[self.type]]

    def __str__(self) -> str:
        return f"({self.index},{self.type.value},{self.kernel},{self.pred1},{self.pred2})"


@dataclass(frozen=True, slots=True)
class Block:
    """A legal block: its layers in order, the last of them the terminal.

    Two blocks are equal when their codes are equal; blocks that mean the same network under
    another code are found by :func:`blockqnn.block.graph.canonical_hash`.

    Raises:
        InvalidBlock: when the layers break a rule of the code.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        _check(self.layers)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the papers' notation, such as ``(1,4,0,0,0)(2,1,3,1,0)(3,7,0,0,0)``.

        Whitespace, commas between the tuples and one pair of enclosing brackets are accepted.

        Raises:
            InvalidBlock: when the text is no code, or the code breaks a rule.
        """
        return cls(tuple(_read_layers(text)))

    def __str__(self) -> str:
        return "".join(str(layer) for layer in self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def body(self) -> tuple[Layer, ...]:
        """The layers that compute something: all but the terminal."""
        return self.layers[:-1]

    @property
    def loose_ends(self) -> tuple[int, ...]:
        """The indices of the layers without a successor, ascending: the output of the block.

        ``(0,)``, the block's input, for the block that is a terminal alone.
        """
        return loose_ends(self.body)


def loose_ends(body: Sequence[Layer]) -> tuple[int, ...]:
    """Return the indices of the layers without a successor; see :attr:`Block.loose_ends`."""
    consumed = {index for layer in body for index in layer.predecessors}
    ends = tuple([layer.index for layer in body if layer.index not in consumed])
    return ends or (0,)


_TUPLE = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)")
_SEPARATORS = re.compile(r"[\s,]*")
_LONGEST_EXCERPT = 60


def _read_layers(text: str) -> Iterator[Layer]:
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        stripped = stripped[1:-1].strip()
    if not stripped:
        raise InvalidBlock(
            "The code of the block is empty; write its layers as (index,type,kernel,pred1,pred2), "
            "for example (1,1,3,0,0)(2,7,0,0,0)."
        )
    position = 0
    while position < len(stripped):
        match = _TUPLE.match(stripped, position)
        if match is None:
            excerpt = stripped[position : position + _LONGEST_EXCERPT]
            raise InvalidBlock(
                f"The code of the block cannot be read at {excerpt!r}; write each layer as five "
                "whole numbers, (index,type,kernel,pred1,pred2)."
            )
        yield _read_layer(*(int(number) for number in match.groups()))
        position = match.end()
        separators = _SEPARATORS.match(stripped, position)
        position = separators.end() if separators else position


def _read_layer(index: int, type_code: int, kernel: int, pred1: int, pred2: int) -> Layer:
    try:
        layer_type = LayerType(type_code)
    except ValueError:
        raise InvalidBlock(
            f"Layer {index} has the unknown type {type_code}; the types are "
            f"{', '.join(f'{member.value} ({_name(member)})' for member in LayerType)}."
        ) from None
    return Layer(index, layer_type, kernel, pred1, pred2)


def _name(layer_type: LayerType) -> str:
    return layer_type.name.lower().replace("_", " ")


def _check(layers: tuple[Layer, ...]) -> None:
    if not layers:
        raise InvalidBlock("A block has at least one layer, the terminal: (1,7,0,0,0).")
    for expected, layer in enumerate(layers, start=1):
        if layer.index != expected:
            raise InvalidBlock(
                f"Layer {layer} is at position {expected} of the block; indices count from 1 "
                "without a gap."
            )
        _check_kernel(layer)
        _check_predecessors(layer)
        if layer.type is LayerType.TERMINAL and expected != len(layers):
            raise InvalidBlock(f"Layer {layer} is a terminal, but {layers[expected]} follows it.")
    if layers[-1].type is not LayerType.TERMINAL:
        raise InvalidBlock(
            f"The block ends with {layers[-1]}; its last layer must be a terminal, "
            f"({len(layers) + 1},7,0,0,0)."
        )


def _check_kernel(layer: Layer) -> None:
    allowed = KERNELS[layer.type]
    if layer.kernel not in allowed:
        raise InvalidBlock(
            f"Layer {layer} has kernel {layer.kernel}; a {_name(layer.type)} layer has kernel "
            f"{' or '.join(str(kernel) for kernel in allowed)}."
        )


def _check_predecessors(layer: Layer) -> None:
    if layer.type is LayerType.PREVIOUS_INPUT and layer.index == 1:
        raise InvalidBlock(
            f"Layer {layer} is the previous block's input; layer 1 must take the block's own, "
            "since no other layer can."
        )
    count = PREDECESSORS[layer.type]
    unused = (layer.pred1, layer.pred2)[count:]
    if any(unused):
        raise InvalidBlock(
            f"Layer {layer} names a predecessor that a {_name(layer.type)} layer does not have; "
            f"it has {count}, and unused fields are 0."
        )
    for predecessor in layer.predecessors:
        _check_predecessor(layer, predecessor)
    if count == 2 and layer.pred1 >= layer.pred2:
        raise InvalidBlock(
            f"Layer {layer} must name two different predecessors in ascending order."
        )


def _check_predecessor(layer: Layer, predecessor: int) -> None:
    if predecessor >= layer.index:
        raise InvalidBlock(
            f"Layer {layer} refers forward to layer {predecessor}; a predecessor has a smaller "
            f"index than {layer.index}."
        )
    if predecessor == 0 and layer.index > 1:
        raise InvalidBlock(
            f"Layer {layer} names the block's input, 0, as its predecessor; only layer 1 can. "
            "Make layer 1 an identity, (1,4,0,0,0), and refer to it."
        )
