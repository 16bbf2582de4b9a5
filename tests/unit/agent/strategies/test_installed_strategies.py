"""Strategies of other packages: one file and one line that registers it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from cli_searches import empty
from operator_builders import make_header, make_search, make_spec, make_state
from strategy_packages import hill_climbing, installed

from blockqnn.block.graph import canonical_hash
from blockqnn.errors import UnknownStrategy
from blockqnn.search import Experience, Proposal, Search
from blockqnn.strategies import StrategySettings
from blockqnn.strategies.registry import BUILT_IN, find_strategy, strategy_names
from blockqnn_api.errors import InvalidSearch
from blockqnn_api.history.replay import new_agent
from blockqnn_api.resolve import pin, resolve
from blockqnn_cli.learning import in_words, learning
from blockqnn_cli.validation.checks import check
from blockqnn_operator.core.planning.events import beginning

SETTINGS = {"parents": 2}


@pytest.fixture
def _installed(tmp_path: Path) -> Iterator[None]:
    with hill_climbing(tmp_path / "packages"):
        yield


def climbing(**agent: Any) -> dict[str, Any]:
    return make_spec(
        budget={"trials": 16}, space={"maxLayers": 6}, agent={"algorithm": "HillClimbing", **agent}
    )


def refusal(spec: dict[str, Any]) -> str:
    with pytest.raises(InvalidSearch) as refused:
        resolve(spec)
    return str(refused.value)


def problems(spec: dict[str, Any]) -> list[str]:
    manifest = {
        "apiVersion": "blockqnn.dev/v1alpha1",
        "kind": "BlockSearch",
        "metadata": {"name": "climb"},
        "spec": spec,
    }
    (search,) = check(json.dumps(manifest))
    return [problem.message for problem in search.problems]


def results(proposals: tuple[Proposal, ...]) -> list[Experience]:
    return [Experience(p.trial, p.block, int(p.hash[:6], 16) / 2**18) for p in proposals]


@pytest.mark.usefixtures("_installed")
def test_a_search_runs_with_it_and_recovers() -> None:
    settings = resolve(climbing(settings=SETTINGS))
    search = new_agent(settings, settings.seed)
    history: list[Experience] = []
    for iteration in range(4):
        batch = results(search.proposals(iteration))
        search.learn(batch)
        history += batch
    expected = search.proposals(4)
    again = new_agent(settings, settings.seed)
    again.learn_all([history[start : start + 4] for start in range(0, 16, 4)])
    assert again.proposals(4) == expected
    random = new_agent(resolve(climbing(algorithm="RandomSearch")), settings.seed)
    hashes = [canonical_hash(trial.block) for trial in history]
    # The first iteration is drawn as every strategy draws at random, the others are not.
    assert hashes[:4] == [proposal.hash for proposal in random.proposals(0)]
    assert hashes[4:8] != [proposal.hash for proposal in random.proposals(1)]


@pytest.mark.usefixtures("_installed")
def test_its_settings_matter_and_are_pinned_with_their_defaults() -> None:
    one, five = resolve(climbing(settings={"parents": 1})), resolve(climbing())
    assert pin(one)["agent"]["settings"] == {"parents": 1}
    assert pin(five)["agent"]["settings"] == {"parents": 5}
    assert resolve(climbing(), pin(one)).agent.settings == {"parents": 1}

    def second(search: Search) -> tuple[Proposal, ...]:
        search.learn(results(search.proposals(0)))
        return search.proposals(1)

    assert second(new_agent(one, 0)) != second(new_agent(five, 0))


@pytest.mark.usefixtures("_installed")
def test_it_is_a_name_like_the_built_in_ones() -> None:
    assert strategy_names() == ("Evolution", "HillClimbing", "QLearning", "RandomSearch")
    assert not problems(climbing(settings=SETTINGS))
    assert find_strategy("HillClimbing").Settings is not StrategySettings


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (
            {"settings": {"parents": 0}},
            "spec.agent.settings is wrong at parents: Input should be greater than or equal to 1. "
            "The package that registers algorithm HillClimbing says which settings there are.",
        ),
        (
            {"settings": {"children": 1}},
            "spec.agent.settings is wrong at children: Extra inputs are not permitted. ",
        ),
        (
            {"learningRate": 0.1},
            "spec.agent.learningRate has no effect with algorithm HillClimbing; leave it out, or "
            "set agent.algorithm to QLearning.",
        ),
        (
            {"predictor": {}},
            "spec.agent.predictor has no effect with algorithm HillClimbing; leave it out, or set",
        ),
        (
            {"algorithm": "HillClimbin"},
            "spec.agent.algorithm is 'HillClimbin', which no installed package registers; the "
            "algorithms here are Evolution, HillClimbing, QLearning, RandomSearch. Correct the ",
        ),
    ],
    ids=["bounds", "unknown", "unused", "predictor", "name"],
)
@pytest.mark.usefixtures("_installed")
def test_what_it_does_not_take_is_refused_in_a_sentence(agent: dict[str, Any], said: str) -> None:
    assert refusal(climbing(**agent)).startswith(said)
    (problem,) = problems(climbing(**agent))
    assert problem.startswith(said)


@pytest.mark.usefixtures("_installed")
def test_it_uses_the_common_fields_that_it_declares() -> None:
    spec = climbing(pipelining=1, randomStep="Flat", earlyTermination={})
    assert resolve(spec).agent.random_step == "Flat"


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_built_in_strategies_have_no_settings_of_their_own(algorithm: str) -> None:
    for settings in (SETTINGS, {}):
        assert refusal(climbing(algorithm=algorithm, settings=settings)) == (
            f"spec.agent.settings has no effect with algorithm {algorithm}, which has no settings "
            "of its own; leave it out."
        )


def test_a_search_whose_strategy_is_not_installed_any_more_says_so_and_can_be_read(
    tmp_path: Path,
) -> None:
    spec = climbing(settings=SETTINGS)
    with hill_climbing(tmp_path / "packages"):
        settings = resolve(spec)
        header = make_header(settings)
        view = replace(empty(), spec=spec, header=header)
        assert [view.epsilon(iteration) for iteration in (0, 1)] == [1.0, 0.0]
        assert "is not installed here" not in in_words(view, learning(view))
    assert refusal(spec).startswith("spec.agent.algorithm is 'HillClimbing', which no installed")
    begun = resolve(spec, header.settings)
    assert begun == settings
    with pytest.raises(InvalidSearch, match=r"^spec\.agent\.algorithm is 'HillClimbing', which no"):
        new_agent(begun, 0)
    elsewhere = replace(view, uid="elsewhere", spec={**spec, "parallelism": 3})
    assert elsewhere.settings is not None
    assert elsewhere.settings["agent"]["settings"] == SETTINGS
    assert isnan(elsewhere.epsilon(0))
    assert in_words(elsewhere, learning(elsewhere)) == (
        "The package of algorithm HillClimbing is not installed here, so whether the search learns "
        "cannot be told."
    )


@pytest.mark.usefixtures("_installed")
def test_a_running_search_has_no_event_about_its_fields() -> None:
    spec = climbing(settings=SETTINGS)
    settings = resolve(spec)
    state = make_state(**{key: spec[key] for key in ("budget", "space", "agent")})
    assert state.settings == settings
    assert not [e for e in beginning(make_search(spec), state) if e.reason == "UnusedFields"]


BROKEN = {
    "raises": ("raise OSError('no table')", "cannot load: OSError: no table. Mend or reinstall"),
    "lacks": ("class Broken: pass", "whose class Broken has no epsilon, expected, learn, prop"),
    "own": (
        "from blockqnn.strategies.random_search import RandomSearch\n"
        "class Broken(RandomSearch): Settings = dict",
        "but Settings of its class Broken is no subclass of blockqnn.strategies.StrategySettings",
    ),
    "uses": (
        "from blockqnn.strategies.random_search import RandomSearch\n"
        "class Broken(RandomSearch): uses = frozenset({'randomStep'})",
        "whose class Broken uses randomStep, which are no fields it could use; those are discount,",
    ),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_package_is_told_and_harms_no_other_search(
    tmp_path: Path, text: str, said: str
) -> None:
    points = {"Broken": "broken_strategy:Broken"}
    with installed(tmp_path, "broken-package", points, broken_strategy=text):
        resolve(make_spec())
        message = refusal(climbing(algorithm="Broken"))
        assert message.startswith("spec.agent.algorithm is 'Broken', ")
        assert said in message
        assert "Broken" in refusal(climbing(algorithm="Other"))


def test_a_name_that_two_packages_register_is_refused(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    text = "from blockqnn.strategies.random_search import RandomSearch as Twice"
    with (
        installed(folders[0], "first-package", {"Twice": "twice_first:Twice"}, twice_first=text),
        installed(folders[1], "second-package", {"Twice": "twice_second:Twice"}, twice_second=text),
        pytest.raises(UnknownStrategy) as refused,
    ):
        find_strategy("Twice")
    assert "registered more than once: by " in str(refused.value)
    assert "first-package 1.0 (twice_first:Twice)" in str(refused.value)
    assert str(refused.value).endswith("Uninstall all but one.")


def test_no_package_takes_the_name_of_a_built_in_strategy(tmp_path: Path) -> None:
    points = {"QLearning": "other_strategy:Other"}
    with installed(tmp_path, "other-package", points, other_strategy="Other = None"):
        assert find_strategy("QLearning") is BUILT_IN["QLearning"]
