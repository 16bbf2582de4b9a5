"""Advice on valid searches that can learn little within their budget. Pure.

The presets of the papers explore at random for half of their thousands of trials. With a
budget of tens or hundreds the search is then random, or nearly so, and nothing else shows it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from blockqnn.settings.epsilon_schedule import EpsilonStage, learning_iterations, scaled
from blockqnn.settings.presets import BY_BUDGET, DEFAULT_PRESET, preset_for
from blockqnn_api.spec import BlockSearchSpec

FEWEST_ITERATIONS = 10
"""A search with fewer iterations below epsilon 1 hardly learns: each iteration draws on what the
earlier ones have taught."""

SMALLEST_BUDGET = 64
"""The smallest budget that the default preset is for."""

_OF_THE_BUDGET = ("batchSize", "epsilonSchedule")
"""The fields of the agent that decide how many iterations learn; presets fit them to the budget."""


class Advice(NamedTuple):
    """A reason why a search that may run would serve its user badly."""

    field: tuple[str, ...]
    """The path of the field that a change should begin with."""
    message: str
    """A sentence or two."""


class Learning(NamedTuple):
    """Number of iterations of a search that choose by what was learned."""

    learning: int
    iterations: int

    @property
    def is_short(self) -> bool:
        """True if there are too few for learning to matter."""
        return self.learning < FEWEST_ITERATIONS

    def __str__(self) -> str:
        return f"{self.learning} of {self.iterations}"


def learning_of(resolved: BlockSearchSpec) -> Learning:
    """Count the iterations that learn, by the schedule and the budget as it is now."""
    agent = resolved.agent
    iterations = -(-resolved.budget.trials // agent.batch_size)
    return Learning(learning_iterations(agent.epsilon_schedule, iterations), iterations)


def advise(spec: Mapping[str, Any], resolved: BlockSearchSpec) -> Advice | None:
    """Suggest a better setting where Q-learning has too few iterations to learn.

    Args:
        spec: the spec as the user wrote it.
        resolved: the spec with all fields filled in.

    Returns:
        None where the search learns, and where its algorithm does not explore by epsilon.
    """
    current = learning_of(resolved)
    if resolved.agent.algorithm != "QLearning" or not current.is_short:
        return None
    agent = spec.get("agent")
    own = [field for field in _OF_THE_BUDGET if isinstance(agent, Mapping) and agent.get(field)]
    who = "schedule" if "epsilonSchedule" in own else "preset"
    does = (
        "explores at random"
        if current.learning * 2 <= current.iterations
        else "makes few iterations"
    )
    message = f"With this budget the {who} {does}: {current} iterations learn"
    experiment = resolved.preset not in BY_BUDGET
    better = _of_the_default(resolved.budget.trials)
    if better.is_short:
        change = f"raise budget.trials to {SMALLEST_BUDGET} or more"
        change += f" and use preset {DEFAULT_PRESET}" * experiment
        return Advice(("budget", "trials"), f"{message}; {change}.")
    without = f"without {' and '.join(f'agent.{field}' for field in own)}, " if own else ""
    new = "" if experiment or own else "a new search with "
    message += f"; {without}{new}preset {DEFAULT_PRESET} learns in {better}."
    if experiment:
        return Advice(("preset",), message)
    return Advice(("agent", own[0]) if own else ("budget", "trials"), message)


def _of_the_default(trials: int) -> Learning:
    """Count the iterations that would learn with the default preset and nothing changed in it."""
    agent = preset_for(DEFAULT_PRESET, trials)["agent"]
    iterations = -(-trials // agent["batchSize"])
    stages = [EpsilonStage.model_validate(stage) for stage in agent["epsilonSchedule"]]
    return Learning(learning_iterations(scaled(stages, iterations), iterations), iterations)
