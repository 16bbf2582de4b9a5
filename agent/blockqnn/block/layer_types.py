"""Types of layers in the blocks of a space, by their names in the settings."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Literal

from blockqnn.block.nsc import LayerType
from blockqnn.errors import InvalidSettings

LayerName = Literal[
    "Convolution",
    "MaxPooling",
    "AveragePooling",
    "Identity",
    "Add",
    "Concat",
    "SeparableConvolution",
    "Bottleneck",
    "PreviousInput",
]
"""Allowed values of `space.layers`: the papers' types in the order of their codes, then others."""

Convolution = Literal["PCC", "Separate"]
"""Form of the convolutions of a space: pre-activation cells, or three separate layers."""

_TYPES: Mapping[LayerName, LayerType] = {
    "Convolution": LayerType.CONVOLUTION,
    "MaxPooling": LayerType.MAX_POOLING,
    "AveragePooling": LayerType.AVERAGE_POOLING,
    "Identity": LayerType.IDENTITY,
    "Add": LayerType.ADD,
    "Concat": LayerType.CONCAT,
    "SeparableConvolution": LayerType.SEPARABLE_CONVOLUTION,
    "Bottleneck": LayerType.BOTTLENECK,
    "PreviousInput": LayerType.PREVIOUS_INPUT,
}

PAPERS: tuple[LayerName, ...] = tuple(
    [name for name, its_type in _TYPES.items() if its_type < LayerType.TERMINAL]
)
"""The types of CVPR 2018, table 1, but the terminal, which ends every block."""

_SEPARATE = (LayerType.BARE_CONVOLUTION, LayerType.RELU, LayerType.BATCH_NORM)
"""Types that `Convolution` stands for in a space of separate layers."""

_FULL_WIDTH: tuple[LayerName, ...] = ("Convolution", "SeparableConvolution")
"""The convolutions to the width of the stage."""

_CELLS: tuple[LayerName, ...] = ("SeparableConvolution", "Bottleneck")
"""Types that are a cell of ReLU, convolution and batch norm in any space."""


def in_order(layers: tuple[LayerName, ...]) -> tuple[LayerName, ...]:
    """Return names in the order of their types' codes, whatever the order in the settings."""
    return tuple(sorted(layers, key=list(_TYPES).index))


def types_of(layers: Collection[LayerName], convolution: Convolution) -> tuple[LayerType, ...]:
    """Return the types of layers of a space, in the order in which its layers are numbered.

    Args:
        layers: their names, in any order.
        convolution: what `Convolution` stands for.
    """
    types: list[LayerType] = []
    for name, its_type in _TYPES.items():
        if name in layers:
            separate = name == "Convolution" and convolution == "Separate"
            types += _SEPARATE if separate else (its_type,)
    return (*types, LayerType.TERMINAL)


def check_layers(
    layers: Collection[LayerName], convolution: Convolution, start_with_identity: bool
) -> None:
    """Reject types of layers that form no space, or that contradict other settings of the space.

    Raises:
        InvalidSettings: naming what is wrong, and what to change.
    """
    twice = [name for name, times in Counter(layers).items() if times > 1]
    if twice:
        raise InvalidSettings(f"space.layers names {twice[0]} twice; name each type once.")
    if not any(name in layers for name in _FULL_WIDTH):
        raise InvalidSettings(
            f"space.layers has no convolution to the width of a stage, only {', '.join(layers)}, "
            f"so blocks could hardly learn anything; add {' or '.join(_FULL_WIDTH)}."
        )
    cells = [name for name in _CELLS if name in layers]
    if convolution == "Separate" and cells:
        raise InvalidSettings(
            f"space.layers has {' and '.join(cells)}, a cell of ReLU, convolution and batch norm, "
            "but space.convolution Separate makes these three layers of their own; leave "
            f"{' and '.join(cells)} out, or set space.convolution to PCC."
        )
    if start_with_identity and "Identity" not in layers:
        raise InvalidSettings(
            "space.layers has no Identity, but with space.startWithIdentity every block starts "
            "with one; add Identity, or set startWithIdentity to false."
        )
