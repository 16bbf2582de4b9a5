"""A block as a torch module: the layers of a Network Structure Code, wired as the code says.

Every convolution is a pre-activation cell, ReLU, convolution, batch norm (CVPR 2018, section 3.1).
Where a block has ReLU, convolution and batch norm as separate layers instead, each is what it is in
the cell: the convolution has no bias, the batch norm scale and shift. A separable convolution and a
bottleneck are cells too; the previous block's input comes in beside the block's own.
Every layer has stride 1 and keeps the size of the image. Choices that the papers leave open:

* unequal widths of an add: ReLU, 1x1 convolution, batch norm bring the narrower to the wider;
* average pooling divides by the pixels inside the image, so that a border is no darker than the
  middle; the padding of max pooling never wins;
* pooling of kernel 1 and identity compute nothing, and cost nothing here.

The ReLU of a value is computed once, however many cells read that value: the same numbers for
less memory traffic, which is what bounds these networks.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from blockqnn.block.graph import is_folded
from blockqnn.block.nsc import CONVOLUTIONS, Block, Layer, LayerType
from blockqnn.network.cost import bottleneck_width, reads_previous
from blockqnn_trainer.network.concatenation import concatenate


class Values:
    """The outputs of the layers of one block during one forward pass."""

    def __init__(self, entering: Tensor) -> None:
        self._outputs = [entering]
        self._rectified: dict[int, Tensor] = {}

    def append(self, output: Tensor) -> None:
        """Add the output of the next node."""
        self._outputs.append(output)

    def __getitem__(self, node: int) -> Tensor:
        return self._outputs[node]

    def rectified(self, node: int) -> Tensor:
        """The ReLU of an output, computed at its first use."""
        if node not in self._rectified:
            self._rectified[node] = functional.relu(self._outputs[node])
        return self._rectified[node]


class UndrawnConv2d(nn.Conv2d):
    """A convolution whose weights are not drawn yet: torch's own draw would be overwritten."""

    def reset_parameters(self) -> None:
        """Leave the weights to :func:`blockqnn_trainer.network.network.initialise`."""


class Convolution(nn.Module):
    """Convolution and batch norm: a pre-activation cell without its ReLU.

    Padding keeps the size of the image; there is no bias, because batch norm subtracts it again.
    Weights are uninitialised until :func:`blockqnn_trainer.network.network.initialise` draws them.
    """

    def __init__(self, entering: int, width: int, kernel: int) -> None:
        super().__init__()
        self.convolution = UndrawnConv2d(entering, width, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, value: Tensor) -> Tensor:
        """Map N x entering x H x W to N x width x H x W."""
        return cast(Tensor, self.norm(self.convolution(value)))


class _Cell(nn.Module):
    def __init__(self, source: int, entering: int, width: int, kernel: int) -> None:
        super().__init__()
        self.source = source
        self.cell = Convolution(entering, width, kernel)

    def forward(self, values: Values) -> Tensor:
        return cast(Tensor, self.cell(values.rectified(self.source)))


class _SeparableCell(nn.Module):
    """ReLU, a filter for each channel, a 1x1 convolution of all channels, batch norm."""

    def __init__(self, source: int, entering: int, width: int, kernel: int) -> None:
        super().__init__()
        self.source = source
        self.depthwise = UndrawnConv2d(
            entering, entering, kernel, padding=kernel // 2, groups=entering, bias=False
        )
        self.pointwise = Convolution(entering, width, 1)

    def forward(self, values: Values) -> Tensor:
        return cast(Tensor, self.pointwise(self.depthwise(values.rectified(self.source))))


class _BareConvolution(nn.Module):
    def __init__(self, source: int, entering: int, width: int, kernel: int) -> None:
        super().__init__()
        self.source = source
        self.convolution = UndrawnConv2d(entering, width, kernel, padding=kernel // 2, bias=False)

    def forward(self, values: Values) -> Tensor:
        return cast(Tensor, self.convolution(values[self.source]))


class _Rectifier(nn.Module):
    def __init__(self, source: int) -> None:
        super().__init__()
        self.source = source

    def forward(self, values: Values) -> Tensor:
        return values.rectified(self.source)


class _BatchNorm(nn.Module):
    def __init__(self, source: int, width: int) -> None:
        super().__init__()
        self.source = source
        self.norm = nn.BatchNorm2d(width)

    def forward(self, values: Values) -> Tensor:
        return cast(Tensor, self.norm(values[self.source]))


class _MaxPooling(nn.Module):
    def __init__(self, source: int, kernel: int) -> None:
        super().__init__()
        self.source, self.kernel = source, kernel

    def forward(self, values: Values) -> Tensor:
        return functional.max_pool2d(values[self.source], self.kernel, 1, self.kernel // 2)


class _AveragePooling(nn.Module):
    def __init__(self, source: int, kernel: int) -> None:
        super().__init__()
        self.source, self.kernel = source, kernel

    def forward(self, values: Values) -> Tensor:
        return functional.avg_pool2d(
            values[self.source], self.kernel, 1, self.kernel // 2, count_include_pad=False
        )


class _Add(nn.Module):
    def __init__(self, sources: tuple[int, int], widths: tuple[int, int]) -> None:
        super().__init__()
        (self.narrow, narrow), (self.wide, wide) = sorted(
            zip(sources, widths, strict=True), key=lambda pair: pair[1]
        )
        self.projection = Convolution(narrow, wide, 1) if narrow != wide else None

    def forward(self, values: Values) -> Tensor:
        if self.projection is None:
            return values[self.narrow] + values[self.wide]
        return cast(Tensor, self.projection(values.rectified(self.narrow))) + values[self.wide]


class _Concat(nn.Module):
    def __init__(self, sources: tuple[int, ...]) -> None:
        super().__init__()
        self.sources = sources

    def forward(self, values: Values) -> Tensor:
        return concatenate([values[source] for source in self.sources])


class BlockModule(nn.Module):
    """One block: N x entering x H x W to N x width x H x W.

    Attributes:
        width: the channels of its output: the stage's with `output_projection`, else the sum of
            the widths of its loose ends.
        reads_previous: True if it takes the input of the previous block beside its own.
    """

    def __init__(
        self,
        block: Block,
        entering: int,
        stage: int,
        output_projection: bool,
        previous: int | None = None,
    ) -> None:
        """Wire a block.

        Args:
            block: the code.
            entering: the channels of its input.
            stage: the width of its convolutions, but for bottlenecks.
            output_projection: True to bring an output of another width than the stage's back to it
                by ReLU, 1x1 convolution, batch norm; else it stays, and widths grow from block to
                block.
            previous: the channels of the previous block's input; None for the first block, which
                takes its own instead.
        """
        super().__init__()
        self.operations = nn.ModuleList()
        self.reads_previous = reads_previous(block.body)
        nodes, widths = [0], [entering]
        if self.reads_previous:
            widths.append(entering if previous is None else previous)
        for layer in block.body:
            if layer.type is LayerType.PREVIOUS_INPUT:
                nodes.append(1)
                continue
            if is_folded(layer):
                nodes.append(nodes[layer.pred1])
                continue
            sources = tuple(nodes[index] for index in layer.predecessors)
            entering_widths = tuple(widths[source] for source in sources)
            self.operations.append(_operation(layer, sources, entering_widths, stage))
            nodes.append(len(widths))
            widths.append(_width(layer, entering_widths, stage))
        self.ends = tuple(nodes[index] for index in block.loose_ends)
        self.width = sum(widths[end] for end in self.ends)
        self.projection: Convolution | None = None
        if output_projection and self.width != stage:
            self.projection = Convolution(self.width, stage, 1)
            self.width = stage

    def forward(self, entering: Tensor, previous: Tensor | None = None) -> Tensor:
        """Compute the layers in the order of the code, then join the outputs that none consumed.

        Args:
            entering: the block's input.
            previous: the previous block's, N x previous x H x W; None for the first block. A block
                that does not read it needs none.
        """
        values = Values(entering)
        if self.reads_previous:
            values.append(entering if previous is None else previous)
        for operation in self.operations:
            values.append(operation(values))
        ends = [values[end] for end in self.ends]
        output = ends[0] if len(ends) == 1 else concatenate(ends)
        if self.projection is None:
            return output
        return cast(Tensor, self.projection(functional.relu(output)))


def _operation(
    layer: Layer, sources: tuple[int, ...], widths: tuple[int, ...], stage: int
) -> nn.Module:
    if layer.type in CONVOLUTIONS:
        return _convolving(layer, sources[0], widths[0], stage)
    match layer.type:
        case LayerType.RELU:
            return _Rectifier(sources[0])
        case LayerType.BATCH_NORM:
            return _BatchNorm(sources[0], widths[0])
        case LayerType.MAX_POOLING:
            return _MaxPooling(sources[0], layer.kernel)
        case LayerType.AVERAGE_POOLING:
            return _AveragePooling(sources[0], layer.kernel)
        case LayerType.ADD:
            return _Add((sources[0], sources[1]), (widths[0], widths[1]))
        case LayerType.CONCAT:
            return _Concat(sources)
        case _:
            raise AssertionError(f"{layer} computes nothing")


def _convolving(layer: Layer, source: int, entering: int, stage: int) -> nn.Module:
    width = _width(layer, (entering,), stage)
    match layer.type:
        case LayerType.SEPARABLE_CONVOLUTION:
            return _SeparableCell(source, entering, width, layer.kernel)
        case LayerType.BARE_CONVOLUTION:
            return _BareConvolution(source, entering, width, layer.kernel)
        case _:
            return _Cell(source, entering, width, layer.kernel)


def _width(layer: Layer, widths: tuple[int, ...], stage: int) -> int:
    if layer.type is LayerType.BOTTLENECK:
        return bottleneck_width(stage)
    if layer.type in CONVOLUTIONS:
        return stage
    return sum(widths) if layer.type is LayerType.CONCAT else max(widths)
