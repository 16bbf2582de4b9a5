"""The parameters and multiply-accumulates of a network, in closed form.

The closed forms below describe the network that the trainer builds (CVPR 2018, section 3.1 and
Fig. 3), without building it:

* a convolution is ReLU, convolution without bias, batch norm, at the width of its stage; of the
  three as separate layers, ReLU and batch norm keep the width of what they take;
* a separable convolution is ReLU, a depthwise convolution, a 1x1 convolution to the width of the
  stage, batch norm; a bottleneck is ReLU, 1x1 convolution, batch norm at a quarter of that width;
* the input of the previous block keeps its width; in the first block it is the block's own input;
* an add of unequal widths brings the narrower up to the larger by ReLU, 1x1 convolution, batch
  norm; a concat, and the output of several loose ends, has the sum of the widths;
* with ``output_projection``, ReLU, 1x1 convolution, batch norm bring an output of another width
  back to that of the stage;
* the network is a 3x3 convolution with batch norm to the first width, the stages with a pooling
  by two in between, global average pooling, and one linear layer.

Batch norm has two parameters for each channel and no multiply-accumulates; neither have pooling,
ReLU, add and concat (He and Sun 2015, which the papers cite, count convolutions only).
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from blockqnn.block.nsc import Block, Layer, LayerType, loose_ends
from blockqnn.network.spec import NetworkSpec

# Python 3.11 takes longer to look a member of an enumeration up than to compare it.
_CONVOLUTION, _BARE_CONVOLUTION = LayerType.CONVOLUTION, LayerType.BARE_CONVOLUTION
_SEPARABLE_CONVOLUTION, _BOTTLENECK = LayerType.SEPARABLE_CONVOLUTION, LayerType.BOTTLENECK
_BATCH_NORM, _PREVIOUS_INPUT = LayerType.BATCH_NORM, LayerType.PREVIOUS_INPUT
_ADD, _CONCAT = LayerType.ADD, LayerType.CONCAT
_NARROWER = 4
"""Ratio of the width of a stage to that of its bottlenecks (He et al. 2016, table 1)."""


class LayersCost(NamedTuple):
    """Cost of the layers of a block, without the projection of its output."""

    widths: tuple[int, ...]
    """Channels of the input and of each layer."""
    weights: int
    """Weights of all convolutions; also the multiply-accumulates for each position."""
    normalised: int
    """Channels that go through batch norm."""


class BlockCost(NamedTuple):
    """Cost of one block in the network."""

    width: int
    """Channels of the output."""
    weights: int
    """Weights of all convolutions; also the multiply-accumulates for each position."""
    normalised: int
    """Channels that go through batch norm."""


def bottleneck_width(stage: int) -> int:
    """Return the channels of a bottleneck in a stage of this width."""
    return max(stage // _NARROWER, 1)


def reads_previous(body: Sequence[Layer]) -> bool:
    """Return whether any of a block's layers is the input of the previous block."""
    return any(layer.type is _PREVIOUS_INPUT for layer in body)


def _cell_cost(layer: Layer, entering: int, stage: int) -> BlockCost:
    """Return the cost of a cell that is not in the papers."""
    if layer.type is _BOTTLENECK:
        narrow = bottleneck_width(stage)
        return BlockCost(narrow, entering * narrow, narrow)
    return BlockCost(stage, (layer.kernel * layer.kernel + stage) * entering, stage)


def layers_cost(
    body: Sequence[Layer],
    entering: int,
    previous: int,
    stage: int,
    adds: Literal["unequal", "all", "none"] = "unequal",
) -> LayersCost:
    """Count the cost of the layers of one block.

    Args:
        body: the layers, without a terminal.
        entering: channels of the block's input.
        previous: channels of the previous block's input.
        stage: channels of each convolution but bottlenecks.
        adds: the adds that are counted as widening one input to the other: those of unequal widths,
            as in the network, or all or none, for bounds of the cost.
    """
    widths = [entering]
    weights = normalised = 0
    for layer in body:
        width, kind = widths[layer.pred1], layer.type
        if kind is _CONVOLUTION:
            weights += layer.kernel * layer.kernel * width * stage
            normalised += stage
            width = stage
        elif kind is _BARE_CONVOLUTION:
            weights += layer.kernel * layer.kernel * width * stage
            width = stage
        elif kind is _BATCH_NORM:
            normalised += width
        elif kind is _ADD:
            narrow, width = sorted((width, widths[layer.pred2]))
            if adds == "all" or (adds == "unequal" and narrow != width):
                weights += narrow * width
                normalised += width
        elif kind is _CONCAT:
            width += widths[layer.pred2]
        elif kind is _SEPARABLE_CONVOLUTION or kind is _BOTTLENECK:
            convolved = _cell_cost(layer, width, stage)
            width = convolved.width
            weights += convolved.weights
            normalised += convolved.normalised
        elif kind is _PREVIOUS_INPUT:
            width = previous
        widths.append(width)
    return LayersCost(tuple(widths), weights, normalised)


def _block_cost(
    body: Sequence[Layer],
    ends: Sequence[int],
    entering: int,
    previous: int,
    stage: int,
    projection: bool,
) -> BlockCost:
    """Return the cost of a block of width `stage`, given the widths of both inputs."""
    widths, weights, normalised = layers_cost(body, entering, previous, stage)
    leaving = sum([widths[index] for index in ends])
    if projection and leaving != stage:
        weights += leaving * stage
        normalised += stage
        leaving = stage
    return BlockCost(leaving, weights, normalised)


def block_macs(block: Block, width: int, output_projection: bool = False) -> int:
    """Count the multiply-accumulates of a block for each position of the image.

    Args:
        block: the block.
        width: channels of its input, of the previous block's, and of its stage; at least 1.
        output_projection: whether to count the 1x1 convolution that brings an output of another
            width back to `width`.
    """
    ends = block.loose_ends
    return _block_cost(block.body, ends, width, width, width, output_projection).weights


class NetworkCost(NamedTuple):
    """Cost of a network."""

    parameters: int
    """Its trainable parameters."""
    macs: int
    """The multiply-accumulates of one image's forward pass, classifier included."""


def body_cost(
    body: Sequence[Layer],
    network: NetworkSpec,
    input_shape: tuple[int, int, int],
    classes: int,
) -> NetworkCost:
    """Count the cost of the network of a block's layers, without the terminal.

    Args:
        body: the layers of the block, which may be unfinished.
        network: the stacking of the block.
        input_shape: channels, height and breadth of an image, in pixels.
        classes: the number of classes.
    """
    ends, projection = loose_ends(body), network.output_projection

    def cost(entering: int, previous: int, stage: int) -> BlockCost:
        return _block_cost(body, ends, entering, previous, stage, projection)

    return stacked_cost(cost, reads_previous(body), network, input_shape, classes)


def stacked_cost(
    block_cost: Callable[[int, int, int], BlockCost],
    on_previous: bool,
    network: NetworkSpec,
    input_shape: tuple[int, int, int],
    classes: int,
) -> NetworkCost:
    """Sum the costs of the blocks of a network, its stem and its classifier.

    Args:
        block_cost: the cost of one block, given the widths of its input, of the previous block's
            input, and of its stage.
        on_previous: whether that cost depends on the previous block's input.
        network: the stacking of blocks.
        input_shape: channels, height and breadth of an image, in pixels.
        classes: the number of classes.
    """
    channels, height, breadth = input_shape
    width = previous = network.filters[0]
    weights = 9 * channels * width
    macs = weights * height * breadth
    normalised = width
    for number, stage in enumerate(network.filters):
        if number:
            height, breadth = height // 2, breadth // 2
        for done in range(network.repeats):
            cost = block_cost(width, previous, stage)
            # What leaves a block as wide as all that entered repeats itself to the stage's end.
            same = cost.width == width and (previous == width or not on_previous)
            times = network.repeats - done if same else 1
            weights += cost.weights * times
            normalised += cost.normalised * times
            macs += cost.weights * times * height * breadth
            previous, width = width, cost.width
            if same:
                break
    return NetworkCost(weights + 2 * normalised + (width + 1) * classes, macs + width * classes)


def network_parameters(
    block: Block, network: NetworkSpec, input_shape: tuple[int, int, int], classes: int
) -> int:
    """Count the trainable parameters of the network stacked from a block.

    Args:
        block: the block.
        network: the stacking of the block.
        input_shape: channels, height and breadth of an image; only the channels affect the count.
        classes: the number of classes.
    """
    return body_cost(block.body, network, input_shape, classes).parameters


def network_macs(
    block: Block, network: NetworkSpec, input_shape: tuple[int, int, int], classes: int
) -> int:
    """Count the multiply-accumulates of one image's forward pass, classifier included.

    Args:
        block: the block.
        network: the stacking of the block.
        input_shape: channels, height and breadth of an image, in pixels; pooling between two
            stages halves both, rounding down.
        classes: the number of classes.
    """
    return body_cost(block.body, network, input_shape, classes).macs
