"""Small changes to a block, for strategies that breed.

Four changes are equally likely: another operation for a layer, another predecessor, one more layer,
one layer less. They reach every block from every other, and each of them can be undone.
"""

from collections.abc import Callable, Sequence
from random import Random

from blockqnn.block.nsc import KERNELS, PREDECESSORS, Layer, LayerType
from blockqnn.space.protocol import pick

Body = Sequence[Layer]
"""The layers of a block without its terminal."""


def mutate_body(body: Body, types: Sequence[LayerType], random: Random) -> tuple[Layer, ...] | None:
    """Change one thing about a block.

    Args:
        body: the layers of the block.
        types: the types of layers of the space, terminal included.
        random: the source of all choices.

    Returns:
        The changed layers, without a terminal, and possibly too many; None if the drawn change is
        impossible in this block.
    """
    layers = [layer_type for layer_type in types if layer_type is not LayerType.TERMINAL]
    return pick(_CHANGES, random)(body, layers, random)


def _replace_operation(
    body: Body, types: Sequence[LayerType], random: Random
) -> tuple[Layer, ...] | None:
    if not body:
        return None
    layer = pick(body, random)
    count = len(layer.predecessors)
    others = [
        (other_type, kernel)
        for other_type in types
        if PREDECESSORS[other_type] == count
        or (max(PREDECESSORS[other_type], count) == 1 and layer.index > 1)
        for kernel in KERNELS[other_type]
        if (other_type, kernel) != (layer.type, layer.kernel)
    ]
    if not others:
        return None
    layer_type, kernel = pick(others, random)
    changed = layer._replace(type=layer_type, kernel=kernel)
    if PREDECESSORS[layer_type] != count:
        # The previous block's input, which needs no source, for a layer with one, or back.
        changed = _connect(changed, [] if count else [pick(range(1, layer.index), random)])
    return _with(body, changed)


def _replace_predecessor(
    body: Body, _: Sequence[LayerType], random: Random
) -> tuple[Layer, ...] | None:
    if not body:
        return None
    layer = pick(body, random)
    if not layer.predecessors:
        return None
    kept = () if len(layer.predecessors) == 1 else (pick(layer.predecessors, random),)
    others = [source for source in range(1, layer.index) if source not in layer.predecessors]
    if not others:
        return None
    return _with(body, _connect(layer, (*kept, pick(others, random))))


def _insert(body: Body, types: Sequence[LayerType], random: Random) -> tuple[Layer, ...] | None:
    """Insert a layer that takes over one of its source's users or opens another branch."""
    index = pick(range(1, len(body) + 2), random)
    shifted = [_renumber(layer, lambda item: item + (item >= index)) for layer in body]
    most = 2 if index > 2 else 1
    usable = [
        item
        for item in types
        if PREDECESSORS[item] <= most and (index > 1 or item is not LayerType.PREVIOUS_INPUT)
    ]
    layer_type = pick(usable, random)
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
        followers = [_renumber(item, lambda pred: pred or 1) for item in followers]
    users = [
        item
        for item in followers
        if index > 1 and item.predecessors and (not sources or sources[0] in item.predecessors)
    ]
    if users and random.random() < 0.5:
        user = pick(users, random)
        taken = sources[0] if sources else pick(user.predecessors, random)
        changed = _renumber(user, lambda item: index if item == taken else item)
        followers[user.index - index - 1] = changed._replace(index=user.index)
    return (*shifted[: index - 1], layer, *followers)


def _delete(body: Body, _: Sequence[LayerType], random: Random) -> tuple[Layer, ...] | None:
    """Delete a layer; its users take its first source instead, or any layer if it has none."""
    if not body:
        return None
    gone = pick(body, random)
    instead = gone.pred1 if gone.predecessors else pick(range(1, gone.index), random)

    def renumber(index: int) -> int:
        if index == gone.index:
            return instead
        return index - (index > gone.index)

    remaining = tuple(_renumber(layer, renumber) for layer in body if layer is not gone)
    return remaining if all(_is_wired(layer) for layer in remaining) else None


def _is_wired(layer: Layer) -> bool:
    """Return whether a layer's sources differ, and only layer 1 takes the block's input."""
    sources = layer.predecessors
    if layer.index == 1:
        return sources == (0,)
    return 0 not in sources and len(set(sources)) == len(sources)


_CHANGES: tuple[Callable[[Body, Sequence[LayerType], Random], tuple[Layer, ...] | None], ...] = (
    _replace_operation,
    _replace_predecessor,
    _insert,
    _delete,
)


def _with(body: Body, layer: Layer) -> tuple[Layer, ...]:
    return (*body[: layer.index - 1], layer, *body[layer.index :])


def _connect(layer: Layer, sources: Sequence[int]) -> Layer:
    pred1, pred2 = (*sorted(sources), 0, 0)[:2]
    return layer._replace(pred1=pred1, pred2=pred2)


def _renumber(layer: Layer, change: Callable[[int], int]) -> Layer:
    sources = [change(source) for source in layer.predecessors]
    return _connect(layer._replace(index=change(layer.index)), sources)
