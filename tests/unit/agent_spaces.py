"""Spaces for the tests of the agent."""

from typing import Any

from blockqnn.contract import ImageShape, NetworkSpec
from blockqnn.layers import PAPERS
from blockqnn.limits import Limits
from blockqnn.presets import PRESETS
from blockqnn.settings import SpaceSettings
from blockqnn.space import Space

EVERY_LAYER = (*PAPERS, "SeparableConvolution", "Bottleneck", "PreviousInput")
"""All that `space.layers` can name."""

COLOUR = ImageShape(channels=3, height=8, width=8, classes=10)


def space_settings(max_layers: int = 23, **changes: Any) -> SpaceSettings:
    """The papers' space with another longest block, and with whatever else is changed."""
    values = {**PRESETS["CVPR2018"]["space"], "maxLayers": max_layers, **changes}
    return SpaceSettings.model_validate(values)


def make_space(max_layers: int = 23, **changes: Any) -> Space:
    """A space without constraints."""
    return Space(space_settings(max_layers, **changes))


def limited(settings: SpaceSettings, network: NetworkSpec, images: ImageShape = COLOUR) -> Space:
    """A space with the constraints of its settings."""
    return Space(settings, Limits(settings, network, images))
