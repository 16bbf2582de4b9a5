"""A network as the papers stack it, the images that it takes, and the limits on its cost."""

from typing import Annotated

from pydantic import Field

from blockqnn.model import Model


def most_stages(height: int, width: int) -> int:
    """Return the number of stages that images of a size in pixels allow.

    The image is halved between two stages, rounding down, and a stage needs at least one pixel.
    """
    return min(height, width).bit_length()


class ImageShape(Model):
    """Shape and classes of the images of a dataset, on which the cost of a network depends."""

    channels: Annotated[int, Field(ge=1, le=1024)]
    """Colours of an image: 3, or 1 for grey."""

    height: Annotated[int, Field(ge=1, le=4096)]
    """Height of an image in pixels."""

    width: Annotated[int, Field(ge=1, le=4096)]
    """Width of an image in pixels."""

    classes: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of classes."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, self.height, self.width)


class Constraints(Model):
    """Upper limits on the cost of a block's network; blocks above them are never proposed."""

    max_parameters: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None
    """Trainable parameters of the stacked network, stem and classifier included. CVPR 2018,
    section 5.2: 10,000,000 for Block-QNN-S."""

    max_macs: Annotated[int, Field(ge=1, le=1_000_000_000_000_000)] | None = None
    """Multiply-accumulates of one image's pass through the stacked network."""

    def __bool__(self) -> bool:
        """Return whether anything is limited."""
        return self.max_parameters is not None or self.max_macs is not None

    def allow(self, parameters: int, macs: int) -> bool:
        """Return whether a network of this cost is within the limits."""
        return (self.max_parameters is None or parameters <= self.max_parameters) and (
            self.max_macs is None or macs <= self.max_macs
        )


class NetworkSpec(Model):
    """Network of a block, stacked (CVPR 2018, Fig. 3)."""

    filters: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=8)
    ]
    """Width of each stage; pooling halves the image between two stages. Papers: 32, 64, 128."""

    repeats: Annotated[int, Field(ge=1, le=32)]
    """Number of blocks in each stage (N in the papers): 4 on CIFAR, 3 on ImageNet."""

    output_projection: bool
    """True if a 1x1 convolution brings a block's output back to the width of its stage.

    In the papers' text, read literally, concatenations grow without one; the output then has twice
    the width at the median, and up to forty times the width.
    """
