"""An exact canonical form of small directed acyclic graphs whose nodes carry labels.

Two graphs have equal forms exactly when an isomorphism maps one onto the other: node to node of
the same label, edge to edge with the same multiplicity. Colour refinement (Weisfeiler and Lehman)
alone does not achieve that: it cannot tell a ring of twelve nodes from two rings of six, and such
rings occur among blocks of 22 layers. So refinement is followed by a search that singles out the
nodes that still look alike, one by one, and keeps the smallest result (individualisation and
refinement, as in McKay, Practical Graph Isomorphism, 1981).

Colours are 64-bit integers mixed by arithmetic of our own, so that the form is the same with every
version of Python and on every machine.
"""

from collections.abc import Iterator, Sequence

Form = tuple[tuple[int, ...], ...]
"""For each node in canonical order: its label, then the ascending positions of its sources."""

_WORD = (1 << 64) - 1
# Odd constants with well spread bits (the golden ratio and the multipliers of splitmix64): the
# values mean nothing, but forms are stored, so they must never change.
_SPREAD = 0x9E3779B97F4A7C15
_UPWARD = 0xBF58476D1CE4E5B9
_DOWNWARD = 0x94D049BB133111EB

_MARK = 1 << 32
"""Added to the label of a node that was singled out, times the order in which it was."""

Sources = Sequence[tuple[int, ...]]


def canonical_form(labels: Sequence[int], sources: Sources) -> Form:
    """Return the form that a graph shares with all graphs isomorphic to it.

    Args:
        labels: the label of each node, from 0 to 2**32 - 1.
        sources: for each node the numbers of the nodes with an edge to it, each smaller than its
            own (the numbering is a topological order); a number given twice is a double edge.

    Returns:
        The canonical form, equal for two graphs exactly when they are isomorphic.
    """
    colours = _refine([label * _SPREAD & _WORD for label in labels], sources)
    return _search(list(labels), colours, sources, 1)


def _refine(colours: list[int], sources: Sources) -> list[int]:
    """Recolour until nodes of one colour have like-coloured sources and like-coloured users.

    Each sweep goes forwards, carrying what lies above a node, then backwards, carrying what lies
    below: the result does not depend on which topological order the nodes are numbered in.
    """
    count = len(colours)
    distinct = len(set(colours))
    while True:
        swept: list[int] = []
        for colour, above in zip(colours, sources, strict=True):
            for source in above:
                colour += swept[source] * _UPWARD
            colour = (colour ^ colour >> 31) * _SPREAD & _WORD
            swept.append(colour ^ colour >> 29)
        below = [0] * count
        for node in range(count - 1, -1, -1):
            colour = swept[node] + below[node] * _DOWNWARD
            colour = (colour ^ colour >> 31) * _SPREAD & _WORD
            swept[node] = colour = colour ^ colour >> 29
            for source in sources[node]:
                below[source] += colour
        distinct_now = len(set(swept))
        if distinct_now in (count, distinct):
            return swept
        colours, distinct = swept, distinct_now


def _search(labels: list[int], colours: list[int], sources: Sources, level: int) -> Form:
    """Return the smallest form among all ways to single out the nodes that look alike."""
    alike = _alike(colours)
    shape = _shape(alike, sources)
    if shape == _NO_EDGES:
        return _write(labels, colours, sources)
    cell = _smallest_colour(alike, colours)
    if shape == _FOREST:
        marked, refined = _single_out(labels, colours, sources, cell[0], level)
        return _search(marked, refined, sources, level + 1)
    forms: list[Form] = []
    seen: set[Form] = set()
    for node in cell:
        marked, refined = _single_out(labels, colours, sources, node, level)
        # Equal leaves mean an automorphism that keeps the marks made before and moves one node of
        # the cell to another: their branches hold the same forms, and one of them is enough.
        leaf = _first_leaf(marked, refined, sources, level + 1)
        if leaf not in seen:
            seen.add(leaf)
            forms.append(_search(marked, refined, sources, level + 1))
    return min(forms)


def _first_leaf(labels: list[int], colours: list[int], sources: Sources, level: int) -> Form:
    """Follow the first choice everywhere: one form, not the smallest."""
    while alike := _alike(colours):
        node = _smallest_colour(alike, colours)[0]
        labels, colours = _single_out(labels, colours, sources, node, level)
        level += 1
    return _write(labels, colours, sources)


def _alike(colours: list[int]) -> frozenset[int]:
    """The nodes that share their colour with another."""
    if len(set(colours)) == len(colours):
        return frozenset()
    first: dict[int, int] = {}
    alike: set[int] = set()
    for node, colour in enumerate(colours):
        other = first.setdefault(colour, node)
        if other != node:
            alike |= {node, other}
    return frozenset(alike)


_NO_EDGES, _FOREST, _CYCLES = range(3)


def _shape(alike: frozenset[int], sources: Sources) -> int:
    """Return the shape of the edges among the nodes that look alike.

    Without such an edge, like-coloured nodes have the very same neighbours, and any order of them
    gives the same form. In a forest, refinement has separated all nodes that no automorphism
    exchanges, so any choice within a colour gives the same form. Only cycles need a comparison.
    """
    root = {node: node for node in alike}

    def find(node: int) -> int:
        while root[node] != node:
            node = root[node]
        return node

    shape = _NO_EDGES
    for node, source in _edges_within(alike, sources):
        shape = _FOREST
        ours, theirs = find(node), find(source)
        if ours == theirs:
            return _CYCLES
        root[ours] = theirs
    return shape


def _edges_within(nodes: frozenset[int], sources: Sources) -> Iterator[tuple[int, int]]:
    for node in nodes:
        for source in sources[node]:
            if source in nodes:
                yield node, source


def _smallest_colour(alike: frozenset[int], colours: list[int]) -> list[int]:
    smallest = min(colours[node] for node in alike)
    return [node for node, colour in enumerate(colours) if colour == smallest]


def _single_out(
    labels: list[int], colours: list[int], sources: Sources, node: int, level: int
) -> tuple[list[int], list[int]]:
    """Mark one node, so that it looks like no other, and refine."""
    labels, colours = labels.copy(), colours.copy()
    labels[node] += level * _MARK
    colours[node] = (colours[node] + level * _SPREAD) & _WORD
    return labels, _refine(colours, sources)


def _write(labels: list[int], colours: list[int], sources: Sources) -> Form:
    order = sorted(range(len(colours)), key=colours.__getitem__)
    position_of = [0] * len(order)
    for position, node in enumerate(order):
        position_of[node] = position
    return tuple(
        (labels[node], *sorted([position_of[source] for source in sources[node]])) for node in order
    )
