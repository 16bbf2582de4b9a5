"""The strategies by the names that `agent.algorithm` gives them: built-in ones and installed ones.

A package registers a strategy by an entry point of the group `blockqnn.strategies`, whose name is
the name of the algorithm and whose object is a class like :class:`Strategy`. It is loaded when a
search asks for it, so that a broken package harms no other search. Built-in strategies are looked
up first: no package can take their names, which would change searches that run.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from pydantic import ValidationError

from blockqnn.contract.message import describe
from blockqnn.errors import InvalidSettings, UnknownStrategy
from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import SearchSpace
from blockqnn.strategies.base import Strategy, StrategySettings
from blockqnn.strategies.evolution import Evolution
from blockqnn.strategies.q_learning import QLearning
from blockqnn.strategies.random_search import RandomSearch

GROUP = "blockqnn.strategies"
"""The group of the entry points."""

BUILT_IN: Mapping[str, type[Strategy]] = {
    "Evolution": Evolution,
    "QLearning": QLearning,
    "RandomSearch": RandomSearch,
}

ALWAYS_USED = frozenset({"algorithm", "batch_size"})
"""The fields of the agent that have an effect with every strategy."""

CHOOSABLE = frozenset(AgentSettings.model_fields) - ALWAYS_USED - {"settings"}
"""The fields of the agent that a strategy may use."""


def strategy_names() -> tuple[str, ...]:
    """Return the names of all registered strategies, in alphabetical order."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


@cache
def find_strategy(name: str) -> type[Strategy]:
    """Return the class of a strategy.

    Args:
        name: its name in `agent.algorithm`.

    Raises:
        UnknownStrategy: when none or several packages register it, or its package cannot be used.
    """
    strategy = BUILT_IN[name] if name in BUILT_IN else _load(name)
    _check(name, strategy)
    return strategy


def own_settings(agent: AgentSettings) -> StrategySettings:
    """Return the strategy's own settings, checked and complete.

    Raises:
        UnknownStrategy: as :func:`find_strategy`.
        InvalidSettings: when the strategy refuses them.
    """
    try:
        return find_strategy(agent.algorithm).Settings.of(agent)
    except ValidationError as error:
        raise InvalidSettings(
            f"agent.settings {describe(error)}. The package that registers algorithm "
            f"{agent.algorithm} says which settings there are."
        ) from None


def create_strategy(agent: AgentSettings, space: SearchSpace, seed: int) -> Strategy:
    """Return a strategy that has learned nothing yet.

    Args:
        agent: its settings; `algorithm` names it.
        space: the candidates.
        seed: fixes every random choice.

    Raises:
        InvalidSettings: as :func:`own_settings`.
    """
    own_settings(agent)
    return find_strategy(agent.algorithm)(agent, space, seed)


def _load(name: str) -> type[Strategy]:
    # One package may be found twice, such as an editable install beside its metadata.
    points = list({point.value: point for point in entry_points(group=GROUP, name=name)}.values())
    if not points:
        raise UnknownStrategy(
            f"agent.algorithm is {name!r}, which no installed package registers; the algorithms "
            f"here are {', '.join(strategy_names())}. Correct the name, or install its package "
            "beside the operator (docs/tasks/write-a-strategy.md)."
        )
    if len(points) > 1:
        raise UnknownStrategy(
            f"agent.algorithm is {name!r}, which is registered more than once: by "
            f"{' and '.join(_source(point) for point in points)}. Uninstall all but one."
        )
    try:
        strategy: type[Strategy] = points[0].load()
    except Exception as error:  # The code of another package may raise anything.
        raise UnknownStrategy(
            f"agent.algorithm is {name!r}, which {_source(points[0])} registers but cannot load: "
            f"{type(error).__name__}: {error}. Mend or reinstall that package."
        ) from error
    return strategy


def _source(point: EntryPoint) -> str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package"
    return f"{package} ({point.value})"


def _check(name: str, strategy: type[Strategy]) -> None:
    """Reject a class that is no strategy, before a search begins with it.

    Raises:
        UnknownStrategy: when it lacks an attribute or a method, or declares unknown fields.
    """
    members = sorted(member for member in dir(Strategy) if not member.startswith("_"))
    members += sorted(Strategy.__annotations__)
    missing = [member for member in members if not hasattr(strategy, member)]
    if missing:
        raise UnknownStrategy(
            f"agent.algorithm is {name!r}, whose class {_name(strategy)} has no "
            f"{', '.join(missing)}; docs/tasks/write-a-strategy.md says what a strategy has."
        )
    own = strategy.Settings
    if not (isinstance(own, type) and issubclass(own, StrategySettings)):
        raise UnknownStrategy(
            f"agent.algorithm is {name!r}, but Settings of its class {_name(strategy)} is no "
            "subclass of blockqnn.strategies.StrategySettings; make it one."
        )
    unknown = sorted(frozenset(strategy.uses) - CHOOSABLE)
    if unknown:
        raise UnknownStrategy(
            f"agent.algorithm is {name!r}, whose class {_name(strategy)} uses "
            f"{', '.join(unknown)}, which are no fields it could use; those are "
            f"{', '.join(sorted(CHOOSABLE))}."
        )


def _name(strategy: object) -> str:
    return getattr(strategy, "__qualname__", repr(strategy))
