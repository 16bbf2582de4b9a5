"""Sharing the operator's Jobs among searches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockqnn_operator.core.planning.fair_share import Demand, share
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.main import main
from blockqnn_operator.shell.reconcile.slots import Slots

demands = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(Demand, st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)),
)


@given(demands, st.integers(0, 40))
def test_what_is_free_is_given_and_nobody_gets_more_than_wanted(
    wanting: dict[str, Demand], limit: int
) -> None:
    granted = share(wanting, limit)
    free = limit - sum(demand.in_flight for demand in wanting.values())
    wanted = sum(demand.wanted for demand in wanting.values())
    assert sum(granted.values()) == min(max(free, 0), wanted)
    assert all(0 <= granted[key] <= demand.wanted for key, demand in wanting.items())


@given(demands, st.integers(0, 40))
def test_nobody_is_given_a_job_who_has_more_than_another_that_goes_without(
    wanting: dict[str, Demand], limit: int
) -> None:
    granted = share(wanting, limit)
    for key, demand in wanting.items():
        if granted[key] < demand.wanted:
            has = demand.in_flight + granted[key]
            for other, count in granted.items():
                assert count == 0 or wanting[other].in_flight + count <= has + 1


two_levels = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.integers(0, 5)),
    st.builds(Demand, st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)),
)


@given(two_levels, st.integers(0, 60))
def test_namespaces_share_as_one_however_many_searches_each_has(
    wanting: dict[tuple[str, int], Demand], limit: int
) -> None:
    granted = share(wanting, limit, lambda key: key[0])
    free = limit - sum(demand.in_flight for demand in wanting.values())
    wanted = sum(demand.wanted for demand in wanting.values())
    assert sum(granted.values()) == min(max(free, 0), wanted)
    flight = dict.fromkeys("ab", 0)
    for (namespace, _), demand in wanting.items():
        flight[namespace] += demand.in_flight
    given = {n: sum(c for (m, _), c in granted.items() if m == n) for n in flight}
    for namespace, other in ("ab", "ba"):
        goes_without = any(
            granted[key] < demand.wanted for key, demand in wanting.items() if key[0] == namespace
        )
        if goes_without and given[other]:
            has = flight[namespace] + given[namespace]
            assert flight[other] + given[other] <= has + 1
    # Within a namespace it is as if there were no other.
    for namespace, count in given.items():
        own = {key: demand for key, demand in wanting.items() if key[0] == namespace}
        in_flight = sum(demand.in_flight for demand in own.values())
        assert share(own, in_flight + count) == {key: granted[key] for key in own}


def test_a_hundred_searches_of_one_user_leave_half_to_another() -> None:
    crowd = {("greedy", str(number)): Demand(0, 10) for number in range(99)}
    granted = share({**crowd, ("lab", "one"): Demand(0, 100)}, 100, lambda key: key[0])
    assert granted["lab", "one"] == 50


def test_a_new_search_gets_the_next_jobs_that_are_free() -> None:
    crowd = {"old": Demand(8, 10, 5), "new": Demand(0, 4)}
    assert share(crowd, 8) == {"old": 0, "new": 0}
    assert share(crowd, 10) == {"old": 0, "new": 2}


def test_of_equals_the_one_served_longest_ago_is_next() -> None:
    assert share({"a": Demand(0, 1, 7), "b": Demand(0, 1, 3)}, 1) == {"a": 0, "b": 1}


A, B, C = (("lab", name) for name in "abc")


def test_each_search_has_its_turn_although_there_are_fewer_jobs_than_searches() -> None:
    """Trials of a single slot, one after the other; all three searches always want more."""
    woken: list[Key] = []
    slots = Slots(1, woken.append)
    order: list[Key] = []
    queue = [A, B, C]
    assert [slots.ask(key, 0, 5) for key in queue] == [1, 0, 0]
    for _ in range(9):
        woken.clear()
        running = next((key for key in queue if slots.ask(key, 0, 5)), None)
        assert running is not None
        order.append(running)
        # Its trial ends; it is the first to notice, and others are woken.
        queue = [running, *(key for key in queue if key != running)]
    assert order == [B, C, A] * 3


def test_who_may_go_on_is_woken() -> None:
    woken: list[Key] = []
    slots = Slots(2, woken.append)
    assert slots.ask(A, 0, 5) == 2
    assert slots.ask(B, 0, 1) == 0
    assert woken == []
    assert slots.ask(A, 1, 4) == 0, "one of its trials has ended, but it is not its turn"
    assert woken == [B]
    assert slots.ask(B, 0, 1) == 1


def test_a_search_that_is_gone_leaves_its_jobs_to_others() -> None:
    woken: list[Key] = []
    slots = Slots(2, woken.append)
    slots.ask(A, 2, 3)
    slots.ask(B, 0, 1)
    slots.forget(A)
    assert woken == [B]
    slots.forget(C)
    assert woken == [B]


def test_without_a_limit_everybody_gets_everything() -> None:
    slots = Slots(None, lambda key: pytest.fail(f"{key} was woken for nothing"))
    assert slots.ask(A, 1000, 64) == 64
    slots.forget(A)


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_a_limit_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--max-jobs-in-flight", text])
    assert "is not a whole number above 0" in capsys.readouterr().err
