"""Colours of the types of layers on paper: light ones, on which black names stand out."""

from blockqnn.block.nsc import LayerType

LAYER_COLOURS = {
    LayerType.CONVOLUTION: "#c6dbef",
    LayerType.MAX_POOLING: "#fdd0a2",
    LayerType.AVERAGE_POOLING: "#fee6ce",
    LayerType.IDENTITY: "#f0f0f0",
    LayerType.ADD: "#c7e9c0",
    LayerType.CONCAT: "#dadaeb",
    LayerType.BARE_CONVOLUTION: "#c6dbef",
    LayerType.RELU: "#fcbba1",
    LayerType.BATCH_NORM: "#ccece6",
    LayerType.SEPARABLE_CONVOLUTION: "#9ecae1",
    LayerType.BOTTLENECK: "#deebf7",
    LayerType.PREVIOUS_INPUT: "#ffffff",
}
ENDS_COLOUR = "#ffffff"
LINE_COLOUR = "#555555"
