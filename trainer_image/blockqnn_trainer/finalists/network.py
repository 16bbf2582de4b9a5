"""The network of a finalist: that of a trial, or with the stem for large images."""

import torch
from torch import Tensor
from torch.nn import functional

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistNetwork
from blockqnn_trainer.network.block import Convolution
from blockqnn_trainer.network.network import (
    InputShape,
    Network,
    build_network,
    check_image_size,
    initialise,
)


class LargeImageStem(Convolution):
    """A 7x7 convolution and 3x3 maxima, both with stride 2: N x C x H x W to a quarter of H and W.

    Source: He et al. 2016, table 1; its stem stands for the "more down-sampling before the blocks"
    of CVPR 2018, section 5.3. Without its ReLU, because every cell of a block begins with one.
    """

    def __init__(self, entering: int, width: int) -> None:
        super().__init__(entering, width, 7)
        self.convolution.stride = (2, 2)

    def forward(self, value: Tensor) -> Tensor:
        """Map N x entering x H x W to N x width x H/4 x W/4, rounded up."""
        return functional.max_pool2d(super().forward(value), 3, 2, 1)


def build_finalist(
    block: Block, spec: FinalistNetwork, input_shape: InputShape, classes: int, seed: int
) -> Network:
    """Build the network of a finalist, initialised, on the CPU, in channels-last memory order.

    Args:
        block: the block that every stage repeats.
        spec: the settings of the stack.
        input_shape: channels, height and width of an image as it enters, in pixels.
        classes: the number of logits.
        seed: draws the weights, the same on every device.

    Raises:
        NetworkInvalid: when the images are too small to be halved between all stages.
    """
    generator = torch.Generator().manual_seed(seed)
    if spec.stem == "Plain":
        return build_network(block, spec, input_shape, classes, generator=generator)
    channels, height, width = input_shape
    check_image_size(spec, (channels, -(-height // 4), -(-width // 4)))
    network = Network(block, spec, channels, classes)
    network.stem = LargeImageStem(channels, spec.filters[0])
    initialise(network, generator)
    return network.to(memory_format=torch.channels_last)
