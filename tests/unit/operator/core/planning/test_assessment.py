"""A pass assesses its search once, and all that decide or report use that one assessment."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from finalists_under_faults import DisturbedFinalists
from operator_builders import make_search
from operator_plans import RANDOM
from search_under_faults import UP_TO_DATE, Disturbed, Pass

from blockqnn_operator.core.planning import assessment

QUESTIONS = ("list_open_trials", "spent", "last_wanted", "is_over", "prepare")
"""The functions that answer the questions of an assessment."""

SPEC = dict(make_search().spec) | RANDOM
LOOK = Pass(UP_TO_DATE, ())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of times that each question is asked; the answers are the real ones."""
    counted: Counter[str] = Counter()

    def counting(name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return answer(*arguments, **named)

        return count

    for name in QUESTIONS:
        monkeypatch.setattr(assessment, name, counting(name, getattr(assessment, name)))
    return counted


def test_a_pass_that_changes_nothing_asks_each_question_once(asked: Counter[str]) -> None:
    run = Disturbed(SPEC)
    run.look(LOOK)
    asked.clear()
    run.look(LOOK)
    assert asked == dict.fromkeys(QUESTIONS, 1)


def test_a_pass_asks_again_after_it_has_changed_something(asked: Counter[str]) -> None:
    run = Disturbed(SPEC)
    run.look(LOOK)
    assert run.server.world.running, "it has created Jobs"
    assert asked == dict.fromkeys(QUESTIONS, 2)


def test_finalists_are_decided_and_reported_by_the_same_assessment(asked: Counter[str]) -> None:
    run = DisturbedFinalists(seed=0)
    while not run.server.status:
        run.look(LOOK)
    run.look(LOOK)
    asked.clear()
    run.look(LOOK)
    assert asked == dict.fromkeys(QUESTIONS, 1)
    assert run.server.status["finalists"]["running"] > 0
