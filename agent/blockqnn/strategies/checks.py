"""Checks of the agent settings for contradictions, before a search begins."""

from blockqnn.errors import InvalidSettings
from blockqnn.settings.search import AgentSettings
from blockqnn.strategies.registry import find_strategy


def check_agent(settings: AgentSettings) -> None:
    """Reject settings of the agent that contradict each other.

    Raises:
        InvalidSettings: when the predictor contradicts the algorithm or the handling of duplicates,
            or the initialization contradicts the state.
    """
    _check_predictor(settings)
    if settings.initialization == "FirstTarget" and settings.state != "LastLayer":
        raise InvalidSettings(
            f"agent.initialization is FirstTarget, but agent.state is {settings.state}, whose "
            "estimates mix values that were tried with others; set agent.initialization to "
            "Constant, or agent.state to LastLayer."
        )


def _check_predictor(settings: AgentSettings) -> None:
    if settings.predictor is None:
        return
    if "predictor" not in find_strategy(settings.algorithm).uses:
        raise InvalidSettings(
            f"agent.predictor chooses among blocks that Q-learning draws, but agent.algorithm is "
            f"{settings.algorithm}; omit the predictor, or set algorithm to QLearning."
        )
    if settings.duplicates != "Redraw":
        raise InvalidSettings(
            "agent.predictor would fill iterations with copies of the block that it expects most "
            "of, since agent.duplicates is Keep; set agent.duplicates to Redraw."
        )
