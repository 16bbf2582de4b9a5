"""The strategies in contest: how each is set up for a budget, and one run of it."""

from collections.abc import Callable
from typing import Any

from blockqnn.settings.epsilon_schedule import EpsilonStage, scaled
from blockqnn.settings.presets import PRESETS, preset_for
from blockqnn.settings.search import AgentSettings, RewardSettings
from blockqnn.space.protocol import Candidate, SearchSpace
from blockqnn.strategies.base import Feedback
from blockqnn.strategies.registry import create_strategy

CONTESTANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "random search": ("Efficient", {"algorithm": "RandomSearch", "predictor": None}),
    "evolution": ("Efficient", {"algorithm": "Evolution", "predictor": None}),
    "evolution in sequence": (
        "Efficient",
        {"algorithm": "Evolution", "batchSize": 1, "predictor": None},
    ),
    "AAAI2017": ("AAAI2017", {}),
    "CVPR2018": ("CVPR2018", {}),
    "MetaQNN": ("MetaQNN", {}),
    "Efficient": ("Efficient", {}),
    "Efficient without predictor": ("Efficient", {"predictor": None}),
    "Efficient, predictor": ("Efficient", {"predictor": {"warmup": 0}}),
}
"""Name of each contestant: its preset and what is changed about it.

Random search and evolution take the batches of Efficient and, like it, propose nothing twice. In
sequence evolution hears of each trial before the next, which no parallel search can offer.
"""


def settings_for(contestant: str, trials: int) -> AgentSettings:
    """Return the settings of a contestant for a budget, as the operator resolves them.

    The papers' presets get batches of a twentieth of the budget too, at most as large as their own:
    with 64 at a time they would learn nothing within 64 trials.
    """
    name, changes = CONTESTANTS[contestant]
    agent = {**preset_for(name, trials)["agent"], **changes}
    agent["batchSize"] = min(agent["batchSize"], max(1, trials // 20))
    stages = [EpsilonStage.model_validate(stage) for stage in agent["epsilonSchedule"]]
    iterations = -(-trials // agent["batchSize"])
    agent["epsilonSchedule"] = scaled(stages, iterations)
    return AgentSettings.model_validate(agent)


def reward_settings_of(contestant: str) -> RewardSettings:
    """Return how production makes a reward of an accuracy for a contestant."""
    name, _ = CONTESTANTS[contestant]
    return RewardSettings.model_validate(PRESETS[name]["reward"])


def search(
    settings: AgentSettings,
    space: SearchSpace,
    reward: Callable[[Candidate], float],
    trials: int,
    seed: int,
) -> list[Feedback]:
    """Search a space and return everything that was tried, in order."""
    strategy = create_strategy(settings, space, seed)
    history: list[Feedback] = []
    iteration = 0
    while len(history) < trials:
        proposed = strategy.propose(iteration)
        batch = [Feedback(candidate, reward(candidate)) for candidate in proposed]
        strategy.learn(iteration, batch)
        history += batch
        iteration += 1
    return history[:trials]
