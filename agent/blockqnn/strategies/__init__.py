"""The strategies of search, behind one interface.

A new strategy is one file with a class that implements
:class:`blockqnn.strategies.base.Strategy`, a name in `agent.algorithm`, and a line below.
"""

from collections.abc import Callable, Mapping

from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import SearchSpace
from blockqnn.strategies.base import Strategy
from blockqnn.strategies.evolution import Evolution
from blockqnn.strategies.q_learning import QLearning
from blockqnn.strategies.random_search import RandomSearch

STRATEGIES: Mapping[str, Callable[[AgentSettings, SearchSpace, int], Strategy]] = {
    "Evolution": Evolution,
    "QLearning": QLearning,
    "RandomSearch": RandomSearch,
}
"""Constructors of strategies from the settings, the space and the seed, by `agent.algorithm`."""
