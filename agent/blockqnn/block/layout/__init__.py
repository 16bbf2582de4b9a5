"""The layout of a block's graph, which every drawing of it draws.

:func:`lay_out_in_ranks` serves pictures: one rank below the other, with few crossings.
:func:`lay_out_in_lines` serves terminals: one line for each layer, on a grid of columns.
"""

from blockqnn.block.layout.graph import Edge, Layout, Point, block_edges
from blockqnn.block.layout.lines import lay_out_in_lines
from blockqnn.block.layout.ranks import lay_out_in_ranks

__all__ = ["Edge", "Layout", "Point", "block_edges", "lay_out_in_lines", "lay_out_in_ranks"]
