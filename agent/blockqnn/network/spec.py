"""A network as the papers stack it, the images that it takes, and the limits on its cost."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from blockqnn.model import Model


class ImageShape(Model):
    """What the images of a dataset are: all that the cost of a network depends on."""

    channels: Annotated[int, Field(ge=1, le=1024)]
    """Colours of an image: 3, or 1 for grey."""

    height: Annotated[int, Field(ge=1, le=4096)]
    """In pixels."""

    width: Annotated[int, Field(ge=1, le=4096)]
    """In pixels."""

    classes: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many classes there are."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, self.height, self.width)


KNOWN_IMAGES: Mapping[str, ImageShape] = {
    "digits": ImageShape(channels=1, height=8, width=8, classes=10),
    "cifar10": ImageShape(channels=3, height=32, width=32, classes=10),
    "cifar100": ImageShape(channels=3, height=32, width=32, classes=100),
    "svhn": ImageShape(channels=3, height=32, width=32, classes=10),
    "fashion_mnist": ImageShape(channels=1, height=28, width=28, classes=10),
}
"""The images of the datasets that have always the same."""


class Constraints(Model):
    """What the network of a block may cost at most; blocks that cost more are never proposed."""

    max_parameters: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None
    """Trainable parameters of the stacked network, stem and classifier included. CVPR 2018,
    section 5.2: 10,000,000 for Block-QNN-S."""

    max_macs: Annotated[int, Field(ge=1, le=1_000_000_000_000_000)] | None = None
    """Multiply-accumulates of one image's pass through the stacked network."""

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return self.max_parameters is not None or self.max_macs is not None

    def allow(self, parameters: int, macs: int) -> bool:
        """Whether a network of this cost is within the limits."""
        return (self.max_parameters is None or parameters <= self.max_parameters) and (
            self.max_macs is None or macs <= self.max_macs
        )


class NetworkSpec(Model):
    """How a block is stacked to a network (CVPR 2018, Fig. 3)."""

    filters: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=8)
    ]
    """The width of each stage; pooling halves the image between two stages. Papers: 32, 64, 128."""

    repeats: Annotated[int, Field(ge=1, le=32)]
    """How many blocks each stage stacks (N in the papers): 4 on CIFAR, 3 on ImageNet."""

    output_projection: bool
    """Whether a 1x1 convolution brings a block's output back to the width of its stage.

    The papers' text lets concatenations grow without one: the literal reading, with a median
    output of twice the width and outliers of forty times.
    """
