"""Describes whether a search learns; ``status``, reports and the demo share the text. Pure."""

from functools import cache
from math import isnan

from blockqnn.learning.progress import FEWEST, Learning, Result, Sample, Verdict, judge, limit_of
from blockqnn_cli.quantities import count
from blockqnn_cli.view import SearchView

RUNBOOK = "BlockQNNSearchNotLearning"
"""Runbook in docs/runbooks that says why searches do not learn, and what to do."""

RANDOM_SEARCH = "Random search draws every block at random: it is not expected to learn."

_HALF = 0.5
"""Share of the proposals above which a single network is worth a remark."""


def learning(search: SearchView) -> Learning:
    """Judge whether a search learns, by the rewards of its trials."""
    results = [
        Result(record.iteration, record.hash, record.reward)
        for record in search.records
        if record.reward is not None
    ]
    return judge(results, cache(search.epsilon))


def is_past_random_phase(search: SearchView) -> bool:
    """Return whether a trial with a result was chosen with what the search had learned."""
    return bool(search.records) and search.epsilon(search.records[-1].iteration) < 1


def in_words(search: SearchView, judged: Learning) -> str:
    """Say in a sentence or two with figures whether a search learns.

    Args:
        search: the search.
        judged: the result of :func:`learning`.
    """
    if search.algorithm == "RandomSearch":
        return RANDOM_SEARCH
    if isnan(search.epsilon(0)):
        return (
            f"The package of algorithm {search.algorithm} is not installed here, so whether the "
            "search learns cannot be told."
        )
    if not any(record.reward is not None for record in search.records):
        return "No trial has a reward yet, so it is not known whether the search learns."
    return f"{_conclusion(search, judged)}{_repetition(judged.late)}"


def _conclusion(search: SearchView, judged: Learning) -> str:
    late, control = judged.late, judged.control
    if late is None:
        return "Every trial with a reward was drawn at random, so there is nothing to compare yet."
    if control is None:
        return (
            "No trial with a reward was drawn at random (epsilon 1): there is nothing to compare "
            "with, so it is not known whether the search learns."
        )
    over = "" if search.phase in ("Complete", "TrainingFinalists", "Failed") else " yet"
    if judged.verdict is Verdict.TOO_FEW:
        return (
            f"There are {control.size} rewards of random trials and {late.size} of later ones; "
            f"{FEWEST} of each are needed to tell whether the search learns."
        )
    if judged.verdict is Verdict.EQUAL:
        return (
            f"Every trial of the random phase and of {_place(search, judged)} has the reward "
            f"{late.mean:.1f}: there is nothing to learn from."
        )
    figures = (
        f"The mean reward of {_place(search, judged)} is {_told(late)}, {_distance(judged)} the "
        f"random phase ({_told(control)})"
    )
    meaning = {
        Verdict.LEARNS: ": the search learns.",
        Verdict.UNLEARNS: f": the search does not learn; see the runbook {RUNBOOK}.",
        Verdict.REPEATS: f", but {_unproven(judged)}: that it learns is not shown{over}.",
    }
    chance = (
        f". Chance alone makes up to {limit_of(late, control):.1f} points: the two cannot be told "
        f"apart{over}."
    )
    return figures + meaning.get(judged.verdict, chance)


def _place(search: SearchView, judged: Learning) -> str:
    """Name the iterations whose proposals are compared."""
    values = (search.epsilon(judged.first), search.epsilon(judged.last))
    if search.algorithm == "Evolution":
        origin = "bred from the best"
    elif values[0] == values[1]:
        origin = f"epsilon {values[0]:.2g}"
    else:
        origin = f"epsilon {values[0]:.2g} to {values[1]:.2g}"
    if judged.first == judged.last:
        return f"iteration {judged.first} ({origin})"
    return f"iterations {judged.first} to {judged.last} ({origin})"


def _distance(judged: Learning) -> str:
    side = "above" if judged.difference >= 0 else "below"
    return f"{abs(judged.difference):.1f} points {side}"


def _told(sample: Sample) -> str:
    return f"{sample.mean:.1f} ± {sample.error:.1f}"


def _unproven(judged: Learning) -> str:
    new, control = judged.new, judged.new_control
    if new is None:
        return "it has proposed no new network"
    if control is None or min(new.size, control.size) < FEWEST:
        return f"only {count(new.size, 'new network')} can be held against the random phase's"
    return (
        f"the {new.size} new networks are not clearly better than those that were new in the "
        f"random phase ({_told(new)} against {_told(control)})"
    )


def _repetition(late: Sample | None) -> str:
    """Say that one network makes up most of the proposals; empty if none does."""
    if late is None or late.most <= _HALF * late.size or late.size < FEWEST:
        return ""
    return f" {late.most:,} of these {late.size:,} proposals are the same network."
