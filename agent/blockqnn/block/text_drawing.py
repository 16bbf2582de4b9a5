"""Pictures of a block in text: its layers and the sources of their inputs."""

from collections.abc import Iterable

from blockqnn.block.nsc import Block, Layer, LayerType

_NAMES = {
    LayerType.CONVOLUTION: "conv",
    LayerType.MAX_POOLING: "max pool",
    LayerType.AVERAGE_POOLING: "avg pool",
    LayerType.IDENTITY: "identity",
    LayerType.ADD: "add",
    LayerType.CONCAT: "concat",
    LayerType.TERMINAL: "terminal",
    LayerType.BARE_CONVOLUTION: "conv",
    LayerType.RELU: "ReLU",
    LayerType.BATCH_NORM: "batch norm",
    LayerType.SEPARABLE_CONVOLUTION: "sep conv",
    LayerType.BOTTLENECK: "bottleneck",
    LayerType.PREVIOUS_INPUT: "previous input",
}

_WIDEST_NAME = len("max pool 3x3")
"""Width of the column of names, unless a block has a wider name."""

_MOST_LISTED = 3
"""Most loose ends that the output's line lists; if there are more, only the rails show them."""


def type_name(layer_type: LayerType) -> str:
    """Name a type of layers as the papers' figures do, such as ``conv`` or ``add``."""
    return _NAMES[layer_type]


def layer_name(layer: Layer) -> str:
    """Name a layer as the papers' figures do, such as ``conv 3x3`` or ``add``."""
    name = type_name(layer.type)
    return f"{name} {layer.kernel}x{layer.kernel}" if layer.kernel else name


def text_drawing(block: Block) -> str:
    """Draw a block for a terminal, one line for each layer, from the input down to the output.

    Each result runs down its own rail until its last use; a line that passes behind a rail does not
    touch it. The shortcut block of CVPR 2018, Fig. 2::

        ○        input
        ●     1  identity
        ├─●   2  conv 3x3      of 1
        │ ●   3  conv 3x3      of 2
        ●─┘   4  add           of 1 and 3
        ○        output

    Returns:
        Lines of Unicode text without a newline at the end. Two columns for each result that is in
        use at once, and 33 for the names, 35 for the widest: at most 80 for a block of 23 layers of
        the papers' types.
    """
    rails = _Rails(block)
    rows = [("○", "", "input", "")]
    for layer in block.body:
        sources = layer.predecessors
        note = f"of {_listed(sources)}" if sources and layer.index > 1 else ""
        rows.append((rails.join(layer.index, sources), str(layer.index), layer_name(layer), note))
    ends = block.loose_ends
    note = f"concat of {_listed(ends)}" if len(ends) > 1 else ""
    if len(ends) > _MOST_LISTED:
        note = f"concat of {len(ends)} layers"
    rows.append((rails.join(len(block), ends, "○"), "", "output", note))
    width = max(len(row[0]) for row in rows)
    widest = max([_WIDEST_NAME, *(len(row[2]) for row in rows)])
    return "\n".join(
        f"{picture:<{width}}  {index:>2}  {name:<{widest}}  {note}".rstrip()
        for picture, index, name, note in rows
    )


def _listed(indices: Iterable[int]) -> str:
    *others, last = (str(index) for index in indices)
    return f"{', '.join(others)} and {last}" if others else last


class _Rails:
    """The columns of the picture and the layer whose result runs down each of them."""

    def __init__(self, block: Block) -> None:
        self._columns: list[int | None] = [0]
        self._uses = [0] * (len(block) + 1)
        for layer in block.body:
            for source in layer.predecessors:
                self._uses[source] += 1
        for end in block.loose_ends:
            self._uses[end] += 1

    def join(self, index: int, sources: tuple[int, ...], symbol: str = "●") -> str:
        """Draw a layer with lines from its sources, and let its result run on from there."""
        for source in sources:
            self._uses[source] -= 1
        joined = {self._columns.index(source): source for source in sources}
        ending = {column for column, source in joined.items() if not self._uses[source]}
        own_column = min(ending) if ending else self._free_column()
        reach = range(min([own_column, *joined]), max([own_column, *joined]) + 1)
        cells = [
            self._cell(column, reach, column in joined, column in ending)
            for column in range(len(self._columns))
        ]
        cells[own_column] = symbol
        between = [
            "─" if column in reach and column + 1 in reach else " " for column in range(len(cells))
        ]
        for column in ending:
            self._columns[column] = None
        self._columns[own_column] = index
        return "".join(part for pair in zip(cells, between, strict=True) for part in pair).rstrip()

    def _free_column(self) -> int:
        if None not in self._columns:
            self._columns.append(None)
        return self._columns.index(None)

    def _cell(self, column: int, reach: range, joins: bool, ends: bool) -> str:
        """Draw the part of a line that lies in a column other than the layer's own."""
        if not joins:
            used = self._columns[column] is not None
            return "│" if used else "─" if column in reach else " "
        if column == reach[0]:
            return "└" if ends else "├"
        if column == reach[-1]:
            return "┘" if ends else "┤"
        return "┴" if ends else "┼"
