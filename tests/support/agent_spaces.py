"""Spaces for the tests of the agent."""

from random import Random
from typing import Any

from blockqnn.block.layer_types import PAPERS
from blockqnn.network.spec import ImageShape, NetworkSpec
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn.space.constraints.limits import Limits
from blockqnn.space.protocol import Candidate

EVERY_LAYER = (*PAPERS, "SeparableConvolution", "Bottleneck", "PreviousInput")
"""All that `space.layers` can name."""

COLOUR = ImageShape(channels=3, height=8, width=8, classes=10)


def space_settings(max_layers: int = 23, **changes: Any) -> SpaceSettings:
    """The papers' space with any first layer, another longest block, and what else is changed."""
    values = {**PRESETS["CVPR2018"]["space"], "startWithIdentity": False, "maxLayers": max_layers}
    return SpaceSettings.model_validate({**values, **changes})


def make_space(max_layers: int = 23, **changes: Any) -> Space:
    """A space without constraints."""
    return Space(space_settings(max_layers, **changes))


def limited(settings: SpaceSettings, network: NetworkSpec, images: ImageShape = COLOUR) -> Space:
    """A space with the constraints of its settings."""
    return Space(settings, Limits(settings, network, images))


def assert_abstract_actions_are_groups(space: Space, candidate: Candidate, random: Random) -> None:
    """At every decision of a candidate the abstract actions group the legal layers, each in one."""
    for position, number in enumerate(candidate):
        prefix = candidate[:position]
        actions = space.abstract_actions(space.state(prefix))
        groups = [space.abstract_action(prefix, number) for number in space.choices(prefix).numbers]
        assert set(actions) == set(groups)
        assert len(set(actions)) == len(actions)
        assert space.abstract_action(prefix, number) in actions
        for abstract_action in actions:
            assert (
                space.abstract_action(prefix, space.draw(prefix, abstract_action, random))
                == abstract_action
            )
