"""Layouts of blocks: for pictures in ranks, for terminals in lines."""

import itertools
from collections import Counter
from random import Random

import pytest
from agent_spaces import EVERY_LAYER, make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.layout import Point, block_edges, lay_out_in_lines, lay_out_in_ranks
from blockqnn.block.layout.coordinates import ascending_places
from blockqnn.block.layout.graph import sources_of, targets_of
from blockqnn.block.layout.ordering import Rows, order_rows
from blockqnn.block.layout.ranks import assign_ranks
from blockqnn.block.nsc import Block
from blockqnn.block.picture import Box, Wire, block_picture

SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")
SPACES = (make_space(23), make_space(23, layers=EVERY_LAYER))

blocks = st.builds(
    lambda seed, space, step: space.random_block(Random(seed), step),
    st.integers(0, 2**32),
    st.sampled_from(SPACES),
    st.sampled_from(["TypeFirst", "Flat"]),
)


@settings(deadline=None, max_examples=60)
@given(blocks)
def test_a_picture_has_a_box_for_each_layer_and_a_wire_for_each_edge(block: Block) -> None:
    picture = block_picture(block)
    assert [box.node for box in picture.boxes] == list(range(len(block) + 1))
    assert [box.type for box in picture.boxes[1:-1]] == [layer.type for layer in block.body]
    assert Counter((wire.source, wire.target) for wire in picture.wires) == Counter(
        block_edges(block)
    )


@settings(deadline=None, max_examples=60)
@given(blocks)
def test_every_edge_runs_downwards_from_box_to_box(block: Block) -> None:
    picture = block_picture(block)
    for wire in picture.wires:
        source, target = picture.boxes[wire.source], picture.boxes[wire.target]
        heights = [point.y for point in wire.points]
        assert heights == sorted(heights)
        assert source.y < target.y
        assert wire.points[0] == pytest.approx((source.x, source.y + source.height / 2))
        assert wire.points[-1] == pytest.approx((target.x, target.y - target.height / 2))


@settings(deadline=None, max_examples=60)
@given(blocks)
def test_no_box_lies_on_another_or_on_a_wire(block: Block) -> None:
    picture = block_picture(block)
    for box, other_box in itertools.combinations(picture.boxes, 2):
        assert (
            abs(box.x - other_box.x) >= (box.width + other_box.width) / 2 + 5
            or abs(box.y - other_box.y) >= (box.height + other_box.height) / 2 + 5
        )
    for wire, box in itertools.product(picture.wires, picture.boxes):
        assert not any(_is_inside(point, box) for point in _sampled(wire))


@settings(deadline=None, max_examples=60)
@given(blocks)
def test_nothing_lies_outside_the_canvas(block: Block) -> None:
    picture = block_picture(block)
    for box in picture.boxes:
        assert box.width / 2 <= box.x <= picture.width - box.width / 2
        assert box.height / 2 <= box.y <= picture.height - box.height / 2
    for wire in picture.wires:
        for x, y in wire.points:
            assert 0 <= x <= picture.width
            assert 0 <= y <= picture.height


@settings(deadline=None, max_examples=20)
@given(blocks)
def test_a_block_is_always_laid_out_in_the_same_way(block: Block) -> None:
    assert block_picture(block) == block_picture(Block.parse(str(block)))
    assert lay_out_in_lines(block) == lay_out_in_lines(Block.parse(str(block)))


@settings(deadline=None, max_examples=60)
@given(blocks)
def test_a_sorted_order_crosses_no_more_edges_than_the_order_of_the_code(block: Block) -> None:
    edges = block_edges(block)
    sources, targets = sources_of(len(block) + 1, edges), targets_of(len(block) + 1, edges)
    inputs = [node for node, feeding in enumerate(sources) if not feeding]
    rows = Rows(assign_ranks(sources, targets, inputs), sources, targets)
    before, numbers = rows.crossings(), [sorted(row) for row in rows.order]
    assert order_rows(rows).crossings() <= before
    assert [sorted(row) for row in rows.order] == numbers


def test_branches_without_a_need_to_cross_do_not_cross() -> None:
    # In the order of the code, the second layers of the branches would cross.
    block = Block.parse(
        "(1,4,0,0,0)(2,1,1,1,0)(3,1,1,1,0)(4,1,1,1,0)(5,1,3,4,0)(6,1,3,3,0)(7,1,3,2,0)(8,7,0,0,0)"
    )
    nodes = lay_out_in_ranks(block, [60.0] * 9).nodes
    first_layers = sorted((2, 3, 4), key=lambda node: nodes[node].x)
    second_layers = sorted((7, 6, 5), key=lambda node: nodes[node].x)
    assert second_layers == [9 - node for node in first_layers]


def test_a_chain_is_a_straight_line() -> None:
    block = Block.parse("(1,1,3,0,0)(2,2,3,1,0)(3,1,5,2,0)(4,7,0,0,0)")
    layout = lay_out_in_ranks(block, [58.0, 100.0, 120.0, 100.0, 60.0])
    assert [node.y for node in layout.nodes] == [0, 1, 2, 3, 4]
    assert {round(node.x, 6) for node in layout.nodes} == {60.0}


def test_a_shortcut_runs_beside_the_layers_that_it_skips() -> None:
    picture = block_picture(SHORTCUT)
    [shortcut] = [wire for wire in picture.wires if (wire.source, wire.target) == (1, 4)]
    for skipped in picture.boxes[2:4]:
        level = [x for x, y in _sampled(shortcut) if abs(y - skipped.y) < skipped.height / 2]
        assert level
        assert all(abs(x - skipped.x) > skipped.width / 2 + 5 for x in level)


def test_a_terminal_alone_is_an_input_above_an_output() -> None:
    picture = block_picture(Block.parse("(1,7,0,0,0)"))
    assert [box.label for box in picture.boxes] == ["input", "output"]
    assert len(picture.wires) == 1


@settings(deadline=None, max_examples=60)
@given(blocks)
def test_in_lines_no_two_results_share_a_column_at_the_same_time(block: Block) -> None:
    layout = lay_out_in_lines(block)
    assert [node.y for node in layout.nodes] == list(range(len(block) + 1))
    occupied: dict[Point, int] = {}
    for edge in layout.edges:
        column = edge.points[0].x
        for line in range(edge.source, edge.target):
            assert occupied.setdefault(Point(column, line), edge.source) == edge.source
        assert edge.points[-1] == layout.nodes[edge.target]
        assert edge.source < edge.target


@given(st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=3), min_size=1, max_size=6))
def test_pooled_places_ascend_and_are_the_nearest(wished: list[list[int]]) -> None:
    wishes = [[(float(x), 1.0) for x in own] for own in wished]

    def mean(pooled: list[tuple[float, float]]) -> float:
        return sum(x for x, _ in pooled) / len(pooled)

    places = ascending_places(wishes, mean)  # type: ignore[arg-type]
    assert places == sorted(places)

    def distance(candidate: list[float]) -> float:
        return sum(
            (x - centre) ** 2 for own, centre in zip(wished, candidate, strict=True) for x in own
        )

    for index, step in itertools.product(range(len(places)), (-0.5, 0.5)):
        moved = [*places]
        moved[index] += step
        if moved == sorted(moved):
            assert distance(places) <= distance(moved) + 1e-6


def _is_inside(point: Point, box: Box) -> bool:
    return (
        abs(point.x - box.x) < box.width / 2 - 0.01 and abs(point.y - box.y) < box.height / 2 - 0.01
    )


def _sampled(wire: Wire, steps: int = 10) -> list[Point]:
    """Return points of the Bézier curves of a wire."""
    sampled = []
    for start in range(0, len(wire.points) - 1, 3):
        a, b, c, d = wire.points[start : start + 4]
        for step in range(steps + 1):
            t = step / steps
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            sampled.append(
                Point(
                    sum(w * p.x for w, p in zip(weights, (a, b, c, d), strict=True)),
                    sum(w * p.y for w, p in zip(weights, (a, b, c, d), strict=True)),
                )
            )
    return sampled
