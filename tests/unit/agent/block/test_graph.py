"""The canonical hash against brute force; density, MACs and parameters against counts by hand."""

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.canonical import canonical_form
from blockqnn.block.graph import canonical_hash, density, fold
from blockqnn.block.nsc import KERNELS, PREDECESSORS, Block, Layer, LayerType
from blockqnn.network.cost import block_macs, network_macs, network_parameters
from blockqnn.network.spec import NetworkSpec
from blockqnn.space.features import encode_block

MULTI_BRANCH = Block.parse(
    "(1,4,0,0,0)(2,1,1,1,0)(3,1,3,2,0)(4,1,1,1,0)(5,1,5,4,0)(6,6,0,3,5)(7,2,3,1,0)(8,1,1,7,0)"
    "(9,6,0,6,8)(10,7,0,0,0)"
)
SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")


EVERY_TYPE = tuple(layer_type for layer_type in LayerType if layer_type is not LayerType.TERMINAL)


@st.composite
def blocks(
    draw: st.DrawFn, longest: int = 22, types: tuple[LayerType | int, ...] = EVERY_TYPE
) -> Block:
    """Any legal block of at most `longest` layers and a terminal."""
    layers: list[Layer] = []
    for index in range(1, draw(st.integers(0, longest)) + 1):
        layer_types = [LayerType(code) for code in types]
        usable = [
            layer_type
            for layer_type in layer_types
            if index > {0: 1, 1: 0, 2: 2}[PREDECESSORS[layer_type]]
        ]
        layer_type = draw(st.sampled_from(usable))
        kernel = draw(st.sampled_from(KERNELS[layer_type]))
        first = second = 0
        if PREDECESSORS[layer_type] and index > 1:
            first = draw(st.integers(1, index - 1))
        if PREDECESSORS[layer_type] == 2:
            other = draw(st.integers(1, index - 2))
            first, second = sorted((first, other + (other >= first)))
        layers.append(Layer(index, layer_type, kernel, first, second))
    return Block((*layers, Layer(len(layers) + 1, LayerType.TERMINAL, 0, 0, 0)))


def renumbered(block: Block, random: Random) -> Block:
    """The same layers in another topological order; the first stays, it alone has the input."""
    waiting = list(block.body[1:])
    positions = {0: 0, 1: 1}
    layers = list(block.body[:1])
    while waiting:
        ready = [
            layer for layer in waiting if all(pred in positions for pred in layer.predecessors)
        ]
        layer = random.choice(ready)
        waiting.remove(layer)
        positions[layer.index] = len(layers) + 1
        preds = sorted(positions[pred] for pred in layer.predecessors)
        pred1, pred2 = (*preds, 0, 0)[:2]
        layers.append(Layer(len(layers) + 1, layer.type, layer.kernel, pred1, pred2))
    return Block((*layers, Layer(len(layers) + 1, LayerType.TERMINAL, 0, 0, 0)))


def with_idle_layer(block: Block, after: int, layer_type: LayerType) -> Block:
    """The block with a layer that does nothing behind layer `after`; all its users now use that."""
    kernel = 0 if layer_type is LayerType.IDENTITY else 1
    layers: list[Layer] = []
    for layer in block.layers:
        moved = [pred if pred < after or not pred else pred + 1 for pred in layer[3:]]
        index = layer.index + (layer.index > after)
        layers.append(Layer(index, layer.type, layer.kernel, moved[0], moved[1]))
        if layer.index == after:
            layers.append(Layer(after + 1, layer_type, kernel, after, 0))
    return Block(tuple(layers))


def isomorphic(block: Block, other: Block) -> bool:
    """Try all one-to-one maps of nodes: slow, obviously right."""
    ours, theirs = fold(block), fold(other)
    if sorted(ours.labels) != sorted(theirs.labels):
        return False
    edges = sorted((v, u) for v, above in enumerate(theirs.sources) for u in above)
    groups = [
        [node for node, label in enumerate(theirs.labels) if label == wanted]
        for wanted in sorted(set(ours.labels))
    ]
    nodes = [
        [node for node, label in enumerate(ours.labels) if label == wanted]
        for wanted in sorted(set(ours.labels))
    ]
    for images in itertools.product(*(itertools.permutations(group) for group in groups)):
        image = dict(zip(itertools.chain(*nodes), itertools.chain(*images), strict=True))
        mapped = ((image[v], image[u]) for v, above in enumerate(ours.sources) for u in above)
        if sorted(mapped) == edges:
            return True
    return False


@settings(deadline=None)
@given(blocks(), st.randoms(use_true_random=False))
def test_renumbered_layers_mean_the_same(block: Block, random: Random) -> None:
    assert canonical_hash(renumbered(block, random)) == canonical_hash(block)


@settings(deadline=None)
@given(blocks(), st.randoms(use_true_random=False))
def test_renumbered_layers_are_encoded_alike(block: Block, random: Random) -> None:
    assert encode_block(renumbered(block, random), None, None) == encode_block(block, None, None)


@settings(deadline=None)
@given(
    blocks(longest=12),
    st.data(),
    st.sampled_from([LayerType.IDENTITY, LayerType.MAX_POOLING, LayerType.AVERAGE_POOLING]),
)
def test_layers_that_do_nothing_fold(
    block: Block, data: st.DataObject, layer_type: LayerType
) -> None:
    if not block.body:
        return
    after = data.draw(st.integers(1, len(block.body)))
    assert canonical_hash(with_idle_layer(block, after, layer_type)) == canonical_hash(block)


FEW = (1, 4, 5, 6, 6, 13)


@settings(max_examples=300, deadline=None)
@given(blocks(longest=6, types=FEW), blocks(longest=6, types=FEW))
def test_hashes_are_equal_exactly_for_isomorphic_graphs(block: Block, other: Block) -> None:
    assert (canonical_hash(block) == canonical_hash(other)) == isomorphic(block, other)


def test_every_small_block_of_few_operations_hashes_as_brute_force_says() -> None:
    representatives: dict[str, Block] = {}
    for block in _all_blocks(longest=4):
        representative = representatives.setdefault(canonical_hash(block), block)
        assert isomorphic(block, representative)
    for block, other in itertools.combinations(representatives.values(), 2):
        assert not isomorphic(block, other)


def _all_blocks(longest: int) -> list[Block]:
    """All blocks of 3x3 convolutions, identities, adds and concats."""
    bodies: list[tuple[Layer, ...]] = [()]
    grown: list[tuple[Layer, ...]] = [()]
    for index in range(1, longest + 1):
        single = [
            Layer(index, layer_type, kernel, pred, 0)
            for layer_type, kernel in ((LayerType.CONVOLUTION, 3), (LayerType.IDENTITY, 0))
            for pred in range(min(index - 1, 1), index)
        ]
        pairs = [
            Layer(index, layer_type, 0, *pair)
            for layer_type in (LayerType.ADD, LayerType.CONCAT)
            for pair in itertools.combinations(range(1, index), 2)
        ]
        grown = [(*prefix, layer) for prefix in grown for layer in single + pairs]
        bodies += grown
    return [Block((*body, Layer(len(body) + 1, LayerType.TERMINAL, 0, 0, 0))) for body in bodies]


def ring_block(*rings: int) -> Block:
    """Parallel convolutions whose neighbours around each ring are added: colours cannot tell."""
    layers = [Layer(1, LayerType.IDENTITY, 0, 0, 0)]
    layers += [Layer(index, LayerType.CONVOLUTION, 3, 1, 0) for index in range(2, sum(rings) + 2)]
    start = 2
    for size in rings:
        for step in range(size):
            pair = sorted((start + step, start + (step + 1) % size))
            layers.append(Layer(len(layers) + 1, LayerType.ADD, 0, pair[0], pair[1]))
        start += size
    return Block((*layers, Layer(len(layers) + 1, LayerType.TERMINAL, 0, 0, 0)))


def test_rings_that_colour_refinement_confuses_differ() -> None:
    shapes = [(6,), (3, 3), (7,), (4, 3), (8,), (5, 3), (4, 4), (10,), (7, 3), (5, 5), (4, 3, 3)]
    assert len({canonical_hash(ring_block(*shape)) for shape in shapes}) == len(shapes)
    assert canonical_hash(ring_block(3, 4)) == canonical_hash(ring_block(4, 3))


@given(st.sampled_from([(6,), (3, 3), (5, 4), (10,)]), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_renumbered_rings_mean_the_same(shape: tuple[int, ...], random: Random) -> None:
    block = ring_block(*shape)
    assert canonical_hash(renumbered(block, random)) == canonical_hash(block)


@pytest.mark.parametrize(
    ("code", "other", "same"),
    [
        ("(1,7,0,0,0)", "(1,4,0,0,0)(2,3,1,1,0)(3,7,0,0,0)", True),
        # x + x is not x, and keeps its width, while the concat of x with x doubles it.
        ("(1,4,0,0,0)(2,4,0,1,0)(3,5,0,1,2)(4,7,0,0,0)", "(1,7,0,0,0)", False),
        (
            "(1,4,0,0,0)(2,4,0,1,0)(3,5,0,1,2)(4,7,0,0,0)",
            "(1,4,0,0,0)(2,4,0,1,0)(3,6,0,1,2)(4,7,0,0,0)",
            False,
        ),
        # Two loose identities hold their source twice in the output.
        ("(1,1,3,0,0)(2,4,0,1,0)(3,4,0,1,0)(4,7,0,0,0)", "(1,1,3,0,0)(2,7,0,0,0)", False),
        # An identity as a loose end is its source as a loose end, used otherwise or not.
        ("(1,1,3,0,0)(2,4,0,1,0)(3,7,0,0,0)", "(1,1,3,0,0)(2,7,0,0,0)", True),
        (
            "(1,1,3,0,0)(2,4,0,1,0)(3,1,5,1,0)(4,7,0,0,0)",
            "(1,1,3,0,0)(2,1,5,1,0)(3,2,1,1,0)(4,7,0,0,0)",
            True,
        ),
        # Two parallel convolutions are not one.
        (
            "(1,4,0,0,0)(2,1,3,1,0)(3,1,3,1,0)(4,5,0,2,3)(5,7,0,0,0)",
            "(1,4,0,0,0)(2,1,3,1,0)(3,4,0,2,0)(4,5,0,2,3)(5,7,0,0,0)",
            False,
        ),
    ],
)
def test_what_folding_keeps_apart(code: str, other: str, same: bool) -> None:
    hashes = {canonical_hash(Block.parse(code)), canonical_hash(Block.parse(other))}
    assert (len(hashes) == 1) is same


def test_hashes_are_stored_and_so_never_change() -> None:
    assert canonical_hash(MULTI_BRANCH) == "0679986bbd4dbbee"
    assert canonical_form((1 << 8, 0, 5), ((), (0,), (0, 1))) == ((0, 1), (256,), (5, 0, 1))


@pytest.mark.parametrize(
    ("code", "edges", "nodes"),
    [
        ("(1,7,0,0,0)", 1, 1),
        ("(1,1,3,0,0)(2,1,3,1,0)(3,7,0,0,0)", 2, 2),
        (str(SHORTCUT), 5, 4),
        (str(MULTI_BRANCH), 11, 9),
        # Loose ends 2 and 3: one more node with two edges.
        ("(1,4,0,0,0)(2,1,3,1,0)(3,2,3,1,0)(4,7,0,0,0)", 5, 4),
    ],
)
def test_density_counted_by_hand(code: str, edges: int, nodes: int) -> None:
    assert density(Block.parse(code)) == edges / nodes


@settings(deadline=None)
@given(blocks())
def test_density_is_between_one_and_three(block: Block) -> None:
    assert 1 <= density(block) < 3


def test_macs_of_a_block_by_hand() -> None:
    # Layers 2, 4, 8: 1x1 (8: on the pooled input); 3: 3x3; 5: 5x5; all 16 to 16 channels.
    assert block_macs(MULTI_BRANCH, 16) == (3 * 1 + 9 + 25) * 16 * 16
    # The output is three branches wide: the projection is one more 1x1 from 48 to 16.
    assert block_macs(MULTI_BRANCH, 16, True) == (3 * 1 + 9 + 25 + 3) * 16 * 16
    assert block_macs(SHORTCUT, 16, True) == 18 * 16 * 16
    # 4 adds a concat (2w) to a convolution (w): a 1x1 brings the latter up.
    unequal = Block.parse("(1,1,1,0,0)(2,4,0,1,0)(3,6,0,1,2)(4,5,0,1,3)(5,7,0,0,0)")
    assert block_macs(unequal, 16) == 16 * 16 + 16 * 32


def test_network_counted_by_hand() -> None:
    network = NetworkSpec(filters=(4, 8), repeats=2, output_projection=True)
    block = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")
    stem, first, second = 9 * 3 * 4, 9 * 4 * 4 * 2, 9 * 4 * 8 + 9 * 8 * 8
    norms = 2 * (4 + 2 * 4 + 2 * 8)
    head = 8 * 10 + 10
    assert network_parameters(block, network, (3, 9, 9), 10) == stem + first + second + norms + head
    assert network_macs(block, network, (3, 9, 9), 10) == 81 * (stem + first) + 16 * second + 80


def test_width_grows_without_output_projection() -> None:
    block = Block.parse("(1,4,0,0,0)(2,1,1,1,0)(3,4,0,1,0)(4,7,0,0,0)")
    network = NetworkSpec(filters=(4,), repeats=3, output_projection=False)
    # Each block appends 4 channels: 4 -> 8 -> 12 -> 16.
    weights = 9 * 4 + 4 * 4 + 8 * 4 + 12 * 4
    assert network_parameters(block, network, (1, 8, 8), 2) == weights + 2 * 16 + 17 * 2


@settings(deadline=None)
@given(blocks(), st.booleans())
def test_blocks_of_one_hash_cost_the_same(block: Block, projection: bool) -> None:
    network = NetworkSpec(filters=(4, 8), repeats=2, output_projection=projection)
    other = with_idle_layer(block, 1, LayerType.IDENTITY) if block.body else block
    assert network_parameters(block, network, (3, 8, 8), 10) == network_parameters(
        other, network, (3, 8, 8), 10
    )
    assert network_macs(block, network, (3, 8, 8), 10) == network_macs(
        other, network, (3, 8, 8), 10
    )
