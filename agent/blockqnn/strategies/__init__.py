"""The strategies of search, behind one interface.

The names below are the public interface for strategies of your own; see
``docs/tasks/write-a-strategy.md``.
"""

from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import Candidate, SearchSpace, draw_candidate, pick
from blockqnn.strategies.base import Feedback, Strategy, StrategySettings, trial_random
from blockqnn.strategies.duplicates import RandomPhase, SeenCandidates
from blockqnn.surrogate.ridge import Prediction

__all__ = [
    "AgentSettings",
    "Candidate",
    "Feedback",
    "Prediction",
    "RandomPhase",
    "SearchSpace",
    "SeenCandidates",
    "Strategy",
    "StrategySettings",
    "draw_candidate",
    "pick",
    "trial_random",
]
