"""The space that the table's blocks are from."""

from typing import Any

from benchmarks.table.recipe import CLASSES, INPUT_SHAPE, NETWORK
from blockqnn.network.spec import ImageShape
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn.space.constraints.limits import Limits


def space_settings(**changes: Any) -> SpaceSettings:
    """Return the space that the table's blocks are from: the papers', with any first layer.

    Args:
        changes: other values, in the names of the BlockSearch resource.
    """
    chosen = {**PRESETS["CVPR2018"]["space"], "startWithIdentity": False, **changes}
    return SpaceSettings.model_validate(chosen)


def make_space(settings: SpaceSettings | None = None) -> Space:
    """Return a space that knows how the table stacks blocks and on what.

    Args:
        settings: which blocks there are, limits included; None for those of the table.
    """
    channels, height, width = INPUT_SHAPE
    images = ImageShape(channels=channels, height=height, width=width, classes=CLASSES)
    settings = settings or space_settings()
    return Space(settings, Limits(settings, NETWORK, images), NETWORK, images)
