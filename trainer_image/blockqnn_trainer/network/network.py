"""The network around a block: stem, stages of stacked blocks, head (CVPR 2018, Fig. 3).

Choices that the papers leave open:

* stem: one 3x3 convolution with batch norm to the width of the first stage. It ends without a
  ReLU, because every pre-activation cell begins with one;
* pooling between two stages: 2x2 maxima at stride 2; an odd row or column at the end is left out;
  the input of the last block before it, where the first block behind it takes that, is pooled too;
* head: ReLU, global average pooling, one linear layer. The ReLU is the one that a next cell would
  have begun with; the batch norm before it is the last cell's own;
* He initialisation: normal with variance 2 / fan-in for convolutions and the linear layer, zero
  biases, batch norm at scale 1 and shift 0.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from blockqnn.block.nsc import Block
from blockqnn.network.spec import NetworkSpec, most_stages
from blockqnn_trainer.errors import NetworkInvalid
from blockqnn_trainer.network.block import BlockModule, Convolution

InputShape = tuple[int, int, int]
"""Channels, height and width of one image, in pixels."""


class Stage(nn.ModuleList):
    """A sequence of blocks, as many as the network repeats, that keep the size of images.

    Attributes:
        width: the channels of the last block's output.
        previous: the channels of the last block's input.
    """

    def __init__(
        self, block: Block, spec: NetworkSpec, stage: int, entering: int, previous: int | None
    ) -> None:
        """Stack a block.

        Args:
            block: the block.
            spec: the settings of the stack.
            stage: the width of the convolutions.
            entering: the channels of the first block's input.
            previous: those of the input of the block before it; None where there is none.
        """
        super().__init__()
        self.width, self.previous = entering, previous
        for _ in range(spec.repeats):
            entering = self.width
            following = BlockModule(block, entering, stage, spec.output_projection, self.previous)
            self.append(following)
            self.width, self.previous = following.width, entering
        self._reads_previous = following.reads_previous

    def forward(self, value: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Compute the blocks.

        Args:
            value: the first block's input, N x entering x H x W.
            previous: the input of the block before it, of the same size; None where there is none.

        Returns:
            The last block's output, and its input where a next block takes that, else None.
        """
        for block in self:
            entering = value
            value = block(entering, previous)
            previous = entering if self._reads_previous else None
        return value, previous


class Network(nn.Module):
    """A block stacked to a classifier: N x C x H x W images to N x classes logits."""

    def __init__(self, block: Block, spec: NetworkSpec, channels: int, classes: int) -> None:
        super().__init__()
        width = spec.filters[0]
        previous: int | None = None
        self.stem = Convolution(channels, width, 3)
        self.stages = nn.ModuleList()
        for filters in spec.filters:
            stage = Stage(block, spec, filters, width, previous)
            self.stages.append(stage)
            width, previous = stage.width, stage.previous
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits of a batch of normalised images."""
        value: Tensor = self.stem(images)
        previous: Tensor | None = None
        for number, stage in enumerate(self.stages):
            if number:
                value = functional.max_pool2d(value, 2)
                previous = None if previous is None else functional.max_pool2d(previous, 2)
            value, previous = stage(value, previous)
        return cast(Tensor, self.classifier(functional.relu(value).mean((2, 3))))


def build_network(
    block: Block,
    network_spec: NetworkSpec,
    input_shape: InputShape,
    classes: int,
    *,
    generator: torch.Generator | None = None,
) -> Network:
    """Build the network of a block, initialised, on the CPU, in channels-last memory order.

    Args:
        block: the block that every stage repeats.
        network_spec: the widths of the stages, the repeats, and whether outputs are projected.
        input_shape: channels, height and width of an image, in pixels.
        classes: the number of logits; at least 1.
        generator: draws the weights; torch's own when None.

    Returns:
        A module in training mode that maps N x channels x height x width floats to N x classes
        logits. Weights are drawn on the CPU, so a seed means the same network on every device.

    Raises:
        NetworkInvalid: when the images are too small to be halved between all stages.
    """
    check_image_size(network_spec, input_shape)
    network = Network(block, network_spec, input_shape[0], classes)
    initialise(network, generator)
    return network.to(memory_format=torch.channels_last)


def check_image_size(network_spec: NetworkSpec, input_shape: InputShape) -> None:
    """Refuse images that shrink to nothing before the last stage.

    Raises:
        NetworkInvalid: naming the stages, the size and the number of stages it allows.
    """
    height, width = input_shape[1:]
    allowed = most_stages(height, width)
    if len(network_spec.filters) > allowed:
        raise NetworkInvalid(
            f"network.filters names {len(network_spec.filters)} stages, between which the image "
            f"is halved, but images of {height}x{width} pixels allow only {allowed}; "
            f"give at most {allowed} filters."
        )


def check_batch_size(network_spec: NetworkSpec, input_shape: InputShape, batch_size: int) -> None:
    """Refuse batches of one image where the last stage leaves it one pixel.

    Batch norm, which divides by the deviation over a batch, would have a single value.

    Raises:
        NetworkInvalid: naming the batch size and what to change.
    """
    halved = [length >> len(network_spec.filters) - 1 for length in input_shape[1:]]
    if batch_size == 1 and halved == [1, 1]:
        raise NetworkInvalid(
            f"training.batchSize is 1 and the {len(network_spec.filters)} stages of "
            "network.filters leave an image one pixel, so batch norm has a single value; "
            "give a larger batch size or fewer filters."
        )


def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw all weights afresh and forget all batch statistics, as before the first step.

    They are drawn on the CPU, in an order that depends neither on the device nor on the memory
    order of the network.

    Source: He et al. 2015, as cited in CVPR 2018, section 4.2; fan-in, gain of ReLU.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            drawn = torch.empty(module.weight.shape)
            nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
            with torch.no_grad():
                module.weight.copy_(drawn)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def count_parameters(network: nn.Module) -> int:
    """Count the trainable parameters of a network, batch norm and biases included."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def count_macs(network: nn.Module, input_shape: InputShape) -> int:
    """Count the multiply-accumulates of one image's forward pass, by making one.

    Convolutions and linear layers count; batch norm, ReLU, pooling, additions and biases do not
    (He and Sun 2015, whom the papers cite for the complexity of a network).

    Args:
        network: a network as :func:`build_network` makes it, on any device.
        input_shape: channels, height and width of an image, in pixels.
    """
    counted = 0

    def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal counted
        positions = output.numel() // output.shape[1]
        counted += cast(nn.Conv2d | nn.Linear, module).weight.numel() * positions

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    training = network.training
    device = next(network.parameters()).device
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, *input_shape, device=device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return counted
