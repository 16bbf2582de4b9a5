"""Checks of the agent settings for contradictions, before a search begins."""

from blockqnn.errors import InvalidSettings
from blockqnn.settings.search import AgentSettings
from blockqnn.strategies.predictor_filter import check_predictor


def check_agent(settings: AgentSettings) -> None:
    """Reject settings of the agent that contradict each other.

    Raises:
        InvalidSettings: when the predictor contradicts the algorithm or the handling of duplicates,
            or the initialization contradicts the state.
    """
    check_predictor(settings)
    if settings.initialization == "FirstTarget" and settings.state != "LastLayer":
        raise InvalidSettings(
            f"agent.initialization is FirstTarget, but agent.state is {settings.state}, whose "
            "estimates mix values that were tried with others; set agent.initialization to "
            "Constant, or agent.state to LastLayer."
        )
