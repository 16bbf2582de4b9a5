"""Small changes to a block, for strategies that breed.

Four changes, equally likely: another operation for a layer, another predecessor, a layer more, a
layer less. They reach every block from every other, and each is undone by another of them.
"""

from collections.abc import Callable, Sequence
from random import Random

from blockqnn.nsc import KERNELS, PREDECESSORS, TYPES, Convolution, Layer, LayerType
from blockqnn.search_space import pick

Body = Sequence[Layer]
"""The layers of a block without its terminal."""


def mutate_body(body: Body, convolution: Convolution, random: Random) -> tuple[Layer, ...] | None:
    """Change one thing about a block.

    Args:
        body: the layers of the block.
        convolution: which types of layers there are to choose from.
        random: the source of all choices.

    Returns:
        The changed layers, without a terminal and perhaps too many of them; None when the change
        that was drawn cannot be made to this block.
    """
    return pick(_CHANGES, random)(body, convolution, random)


def _replace_operation(
    body: Body, convolution: Convolution, random: Random
) -> tuple[Layer, ...] | None:
    if not body:
        return None
    layer = pick(body, random)
    others = [
        (one, kernel)
        for one in _types(convolution)
        if PREDECESSORS[one] == len(layer.predecessors)
        for kernel in KERNELS[one]
        if (one, kernel) != (layer.type, layer.kernel)
    ]
    layer_type, kernel = pick(others, random)
    return _with(body, layer._replace(type=layer_type, kernel=kernel))


def _replace_predecessor(body: Body, _: Convolution, random: Random) -> tuple[Layer, ...] | None:
    if not body:
        return None
    layer = pick(body, random)
    kept = () if len(layer.predecessors) == 1 else (pick(layer.predecessors, random),)
    others = [one for one in range(1, layer.index) if one not in layer.predecessors]
    if not others:
        return None
    return _with(body, _connect(layer, (*kept, pick(others, random))))


def _insert(body: Body, convolution: Convolution, random: Random) -> tuple[Layer, ...] | None:
    """Put a layer in, where it takes over one of its source's users or opens another branch."""
    index = pick(range(1, len(body) + 2), random)
    shifted = [_renumber(layer, lambda one: one + (one >= index)) for layer in body]
    most = 2 if index > 2 else 1
    types = [one for one in _types(convolution) if PREDECESSORS[one] <= most]
    layer_type = pick(types, random)
    kernel = pick(KERNELS[layer_type], random)
    earlier = list(range(1, index)) or [0]
    sources = []
    for _ in range(PREDECESSORS[layer_type]):
        sources.append(pick(earlier, random))
        earlier.remove(sources[-1])
    layer = _connect(Layer(index, layer_type, kernel, 0, 0), sources)
    followers = shifted[index - 1 :]
    if index == 1:
        # Only the first layer takes the block's input, so whatever did takes the new layer.
        followers = [_renumber(one, lambda pred: pred or 1) for one in followers]
    users = [one for one in followers if sources[0] in one.predecessors and index > 1]
    if users and random.random() < 0.5:
        user = pick(users, random)
        changed = _renumber(user, lambda one: index if one == sources[0] else one)
        followers[user.index - index - 1] = changed._replace(index=user.index)
    return (*shifted[: index - 1], layer, *followers)


def _delete(body: Body, _: Convolution, random: Random) -> tuple[Layer, ...] | None:
    """Take a layer out; its users take its first source instead."""
    if not body:
        return None
    gone = pick(body, random)

    def renumber(index: int) -> int:
        if index == gone.index:
            return gone.pred1
        return index - (index > gone.index)

    left = tuple(_renumber(layer, renumber) for layer in body if layer is not gone)
    for layer in left:
        one, *others = layer.predecessors
        if one in others or (layer.index > 1 and 0 in layer.predecessors):
            return None
    return left


_CHANGES: tuple[Callable[[Body, Convolution, Random], tuple[Layer, ...] | None], ...] = (
    _replace_operation,
    _replace_predecessor,
    _insert,
    _delete,
)


def _types(convolution: Convolution) -> list[LayerType]:
    return [one for one in TYPES[convolution] if one is not LayerType.TERMINAL]


def _with(body: Body, layer: Layer) -> tuple[Layer, ...]:
    return (*body[: layer.index - 1], layer, *body[layer.index :])


def _connect(layer: Layer, sources: Sequence[int]) -> Layer:
    pred1, pred2 = (*sorted(sources), 0)[:2]
    return layer._replace(pred1=pred1, pred2=pred2)


def _renumber(layer: Layer, change: Callable[[int], int]) -> Layer:
    sources = [change(one) for one in layer.predecessors]
    return _connect(layer._replace(index=change(layer.index)), sources)
