"""The structure and the cost of a block's network, as lines of text."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block, Layer, LayerType
from blockqnn.contract.message import describe as describe_error
from blockqnn.errors import InvalidSettings
from blockqnn.network.spec import NetworkSpec
from blockqnn_trainer.network.block import BlockModule
from blockqnn_trainer.network.network import (
    InputShape,
    Network,
    build_network,
    count_macs,
    count_parameters,
)

_NAMES = {kind: kind.name.lower().replace("_", " ") for kind in LayerType}


def describe(
    code: str,
    filters: Sequence[int],
    repeats: int,
    output_projection: bool,
    input_shape: InputShape,
    classes: int,
) -> list[str]:
    """Build the network of a block and describe it.

    Args:
        code: the Network Structure Code.
        filters: the width of each stage.
        repeats: blocks in each stage.
        output_projection: True to bring outputs back to the width of their stage.
        input_shape: channels, height and width of an image, in pixels.
        classes: the number of classes.

    Raises:
        InvalidBlock: when the code breaks a rule.
        InvalidSettings: when a number is out of range.
        NetworkInvalid: when the images are too small for the stages.
    """
    block = Block.parse(code)
    if min(*input_shape, classes) < 1:
        raise InvalidSettings("The image's sides and channels and the classes are at least 1 each.")
    try:
        spec = NetworkSpec(
            filters=tuple(filters), repeats=repeats, output_projection=output_projection
        )
    except ValidationError as error:
        raise InvalidSettings(f"The network {describe_error(error)}.") from None
    network = build_network(block, spec, input_shape, classes)
    return [
        f"block {canonical_hash(block)}",
        *(_layer(layer) for layer in block.body),
        f"  output: {_inputs(block.loose_ends)}",
        "network",
        *_stages(network, spec, input_shape),
        f"  linear to {classes} classes",
        f"parameters {count_parameters(network):,}",
        f"MACs {count_macs(network, input_shape):,} for one image",
    ]


def _layer(layer: Layer) -> str:
    kernel = f" {layer.kernel}x{layer.kernel}" if layer.kernel else ""
    sources = f" of {_inputs(layer.predecessors)}" if layer.predecessors else ""
    return f"  {layer.index}: {_NAMES[layer.type]}{kernel}{sources}"


def _inputs(indices: Sequence[int]) -> str:
    return ", ".join(f"layer {index}" if index else "the input" for index in indices)


def _stages(network: Network, spec: NetworkSpec, input_shape: InputShape) -> Iterator[str]:
    channels, height, width = input_shape
    yield f"  stem {height}x{width}: {channels} to {spec.filters[0]} channels"
    for number, stage in enumerate(network.stages):
        last = list(stage.children())[-1]
        assert isinstance(last, BlockModule)
        size = f"{height >> number}x{width >> number}"
        yield f"  stage {number + 1} {size}: {spec.repeats} blocks, {last.width} channels out"
