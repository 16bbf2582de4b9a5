"""Fields without an effect: refused in a new search, whichever a user sets; kept in an old one."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_search, make_shard, make_spec
from repository_paths import FIXTURES, ROOT

from blockqnn.settings.presets import PRESETS
from blockqnn.strategies.registry import BUILT_IN
from blockqnn_api.definition.effect_rules import EFFECT_RULES
from blockqnn_api.errors import UnusedFields
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import read_lines
from blockqnn_api.resolve import PINNED_SECTIONS, pin, resolve
from blockqnn_api.unused_settings import AGENT_FIELDS, DEPENDENCIES, unused_settings, without_unused
from blockqnn_cli.validation.checks import check
from blockqnn_operator.core.planning.events import beginning

DOCS = ROOT / "docs"
FIXTURE = FIXTURES / "searches-with-unused-fields.jsonl"
BEGUN: list[dict[str, Any]] = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
"""Specs with fields that are refused now, the histories that an earlier version wrote of them, and
the blocks that it would have proposed next. Never change the file: it stands for running searches.
"""

CLAIM = {"persistentVolumeClaim": {"claimName": "images"}}

VALUES: dict[str, Any] = {
    "pipelining": 0,
    "randomStep": "Flat",
    "learningRate": 0.2,
    "discount": 0.9,
    "duplicates": "Redraw",
    "state": "LastLayer",
    "shaping": "Uniform",
    "rewardScale": "Rank",
    "initialization": "Constant",
    "initialValue": 1.0,
    "epsilonSchedule": [{"epsilon": 1.0, "iterations": 2}],
    "replay": {"sampleSize": 7},
    "evolution": {"sampleSize": 3},
    "earlyTermination": {"share": 0.1},
    "predictor": {"candidates": 4},
}
"""A value of each field that does not contradict the others."""


def spec_of(**agent: Any) -> dict[str, Any]:
    return make_spec(agent={"batchSize": 4, **agent})


def refused(spec: dict[str, Any]) -> dict[str, str]:
    """The fields of a spec that are refused, each with its sentence."""
    try:
        resolve(spec)
    except UnusedFields as error:
        return {field.name: str(field) for field in error.fields}
    return {}


def names_of(algorithm: str, fields: dict[str, Any]) -> list[str]:
    uses = BUILT_IN[algorithm].uses
    return [f"spec.agent.{name}" for name in sorted(fields) if AGENT_FIELDS[name] not in uses]


def test_all_fields_without_an_effect_are_named_at_once() -> None:
    with pytest.raises(UnusedFields) as error:
        resolve(spec_of(algorithm="RandomSearch", pipelining=1, discount=1))
    assert str(error.value) == (
        "spec.agent.discount has no effect with algorithm RandomSearch; leave it out, or set "
        "agent.algorithm to QLearning. spec.agent.pipelining has no effect with algorithm "
        "RandomSearch; leave it out, or set agent.algorithm to Evolution or QLearning."
    )


def test_every_field_of_the_agent_has_an_example() -> None:
    assert VALUES.keys() == AGENT_FIELDS.keys()


@given(
    st.sampled_from([None, *sorted(BUILT_IN)]),
    st.sets(st.sampled_from(sorted(VALUES))),
    st.sampled_from(["CVPR2018", "Efficient"]),
)
def test_exactly_the_fields_that_the_algorithm_does_not_use_are_refused(
    algorithm: str | None, names: set[str], preset: str
) -> None:
    fields = {name: VALUES[name] for name in names}
    if "predictor" in fields:
        fields["duplicates"] = "Redraw"
    if preset == "Efficient" and "initialization" not in fields:
        fields.pop("state", None)
    chosen = {"algorithm": algorithm} if algorithm else {}
    spec = {**spec_of(**chosen, **fields), "preset": preset}
    found = refused(spec)
    assert list(found) == names_of(algorithm or "QLearning", fields)
    for name, sentence in found.items():
        assert sentence.startswith(f"{name} has no effect with algorithm {algorithm or 'QLearn'}")
        assert "; leave it out, or set agent.algorithm to " in sentence
    kept = {k: v for k, v in fields.items() if f"spec.agent.{k}" not in found}
    mended = {**spec_of(**chosen, **kept), "preset": preset}
    resolved = resolve(mended)
    # As if the search had begun before: the same spec is read without complaint.
    assert resolve(spec, pin(resolve(mended))).agent.algorithm == resolved.agent.algorithm


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_what_a_preset_fills_in_is_no_fault_of_the_user(preset: str, algorithm: str) -> None:
    spec = {"preset": preset, "dataset": {"name": "digits"}, "agent": {"algorithm": algorithm}}
    resolved = resolve(spec)
    assert resolve(spec, pin(resolved)) == resolved
    agent = resolved.model_dump(mode="json")["agent"]
    assert set(agent) == {*AGENT_FIELDS, "algorithm", "batchSize", "settings"}


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_resolved_search_without_unused_fields_can_be_written(
    preset: str, algorithm: str
) -> None:
    spec = {"preset": preset, "dataset": {"name": "digits"}, "agent": {"algorithm": algorithm}}
    resolved = resolve(spec)
    written = without_unused(resolved.model_dump(mode="json", exclude_none=True), resolved)
    assert resolve(written) == resolved
    assert not unused_settings(written, resolved)


@pytest.mark.parametrize("field", ["predictor", "earlyTermination"])
@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_what_is_switched_off_is_accepted_everywhere(field: str, algorithm: str) -> None:
    off = {"enabled": False, "warmup": 20}
    spec = {"dataset": {"name": "digits"}, "agent": {"algorithm": algorithm, field: off}}
    assert not refused(spec)


DEPENDENT: list[tuple[dict[str, Any], str, str]] = [
    (
        {"agent": {"initialization": "FirstTarget", "initialValue": 1.0}},
        "spec.agent.initialValue",
        "set agent.initialization to Constant",
    ),
    *(
        (
            {"agent": {"replay": {"updates": 0}, field: VALUES[field]}},
            f"spec.agent.{field}",
            "set agent.replay.updates to 1 or more",
        )
        for field in ("learningRate", "discount", "shaping", "rewardScale", "initialValue")
    ),
    *(
        (
            {"agent": {"replay": {"updates": 0, field: value}}},
            f"spec.agent.replay.{field}",
            "set agent.replay.updates to 1 or more",
        )
        for field, value in (("sampleSize", 3), ("weighting", "Rank"))
    ),
    *(
        (
            {
                "preset": "Efficient",
                "agent": {"predictor": {"candidates": 1, field: 0.5}},
            },
            f"spec.agent.predictor.{field}",
            "set agent.predictor.candidates to 2 or more",
        )
        for field in ("optimism", "keepRandom")
    ),
    (
        {"preset": "Efficient", "agent": {"predictor": {"keepRandom": 1, "optimism": 2}}},
        "spec.agent.predictor.optimism",
        "set agent.predictor.keepRandom to less than 1",
    ),
    (
        {"agent": {"earlyTermination": {}}, "training": {"epochs": 1}},
        "spec.agent.earlyTermination",
        "set training.epochs to 2 or more",
    ),
    (
        {"agent": {"earlyTermination": {"epochs": [2, 6]}}, "training": {"epochs": 6}},
        "spec.agent.earlyTermination.epochs",
        "name earlier epochs only",
    ),
    (
        {"training": {"restarts": {"maximum": 0, "factor": 0.5}}},
        "spec.training.restarts.factor",
        "set training.restarts.maximum to 1 or more",
    ),
    (
        {"dataset": {"name": "digits", "validation": {"source": "test", "fraction": 0.5}}},
        "spec.dataset.validation.fraction",
        "set dataset.validation.source to train",
    ),
    *(
        (
            {"dataset": {"name": "digits", field: value}},
            f"spec.dataset.{field}",
            "set dataset.name to a dataset that has files",
        )
        for field, value in (("path", "/images"), ("volume", CLAIM))
    ),
]


FINALISTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("cifar10", {"validation": {"fraction": 0.2}}, ["validation.fraction"]),
    ("cifar10", {"validation": {"source": "train", "fraction": 0.2}}, []),
    ("digits", {"validation": {"fraction": 0.2}}, []),
    ("npz", {"validation": {"source": "test", "fraction": 0.2}}, ["validation.fraction"]),
    (
        "npz",
        {
            "targets": [
                {"name": "same"},
                {"name": "small", "dataset": {"name": "digits", "path": "/x", "volume": CLAIM}},
                {"name": "other", "dataset": {"name": "svhn", "validation": {"fraction": 0.3}}},
                {"name": "own", "dataset": {"name": "npz", "path": "/x", "volume": CLAIM}},
            ]
        },
        [
            "targets[1].dataset.volume",
            "targets[1].dataset.path",
            "targets[2].dataset.validation.fraction",
        ],
    ),
]


@pytest.mark.parametrize(("dataset", "finalists", "fields"), FINALISTS)
def test_the_images_of_finalists_are_judged_as_those_of_the_search(
    dataset: str, finalists: dict[str, Any], fields: list[str]
) -> None:
    spec = make_spec(dataset={"name": dataset}, finalists={"volume": CLAIM, **finalists})
    assert list(refused(spec)) == [f"spec.finalists.{field}" for field in fields]
    # A search that began before goes on, and its report has a spec that can be written.
    began = resolve(spec, pin(resolve(make_spec(dataset={"name": dataset}))))
    written = without_unused(began.model_dump(mode="json", exclude_none=True), began)
    assert not refused(written)


def test_the_path_that_the_api_server_fills_in_is_no_fault_of_the_user() -> None:
    assert not refused(make_spec(dataset={"name": "digits", "path": "/data"}))


@pytest.mark.parametrize(("changes", "field", "remedy"), DEPENDENT, ids=[c[1] for c in DEPENDENT])
def test_what_has_no_effect_with_another_value_is_refused(
    changes: dict[str, Any], field: str, remedy: str
) -> None:
    found = refused(make_spec(**changes))
    assert list(found) == [field]
    assert remedy in found[field]


def test_every_dependency_has_an_example() -> None:
    shown = {(field, remedy.partition(" to ")[0]) for _, field, remedy in DEPENDENT}
    for dependency in DEPENDENCIES:
        example = f"spec.{'.'.join(dependency.field)}", f"set {'.'.join(dependency.other)}"
        assert example in shown


def test_the_page_lists_what_the_declarations_say() -> None:
    page = (DOCS / "tasks" / "write-a-strategy.md").read_text()
    for algorithm, strategy in BUILT_IN.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{algorithm}`")]
        named = set(row.rpartition("|")[0].rpartition("|")[2].strip().replace("`", "").split(", "))
        assert named == {k for k, v in AGENT_FIELDS.items() if v in strategy.uses}
    for dependency in DEPENDENCIES:
        value = f"`{'.'.join(dependency.other)}: {str(dependency.value).removesuffix('.0')}`"
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {value} |")]
        assert f"`{'.'.join(dependency.field)}`" in row


def test_rules_stand_only_where_a_search_cannot_change() -> None:
    """An older object breaks them; the API server must not look again when the rest changes."""
    fixed = {
        *(f"spec.{section}" for section in PINNED_SECTIONS),
        "spec.dataset.validation",
        "spec.finalists.validation",
        # Of a dataset only the volume may change, and that is what the rules are about.
        "spec.dataset",
        "spec.finalists.targets[].dataset",
    }
    assert all(any(f"{path}.".startswith(f"{at}.") for at in fixed) for path in EFFECT_RULES)


def test_a_file_has_a_problem_for_each_field_at_its_line() -> None:
    text = """\
apiVersion: blockqnn.dev/v1alpha1
kind: BlockSearch
metadata: {name: evolution}
spec:
  dataset: {name: digits}
  agent:
    algorithm: Evolution
    discount: 0.9
    evolution: {populationSize: 20}
    learningRate: 0.1
"""
    (search,) = check(text)
    assert [(problem.line, problem.message) for problem in search.problems] == [
        (
            line,
            f"spec.agent.{field} has no effect with algorithm Evolution; leave it out, or set "
            "agent.algorithm to QLearning.",
        )
        for line, field in ((8, "discount"), (10, "learningRate"))
    ]


class TestSearchesThatBegan:
    """Before such fields were refused."""

    @pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
    def test_they_go_on_as_they_began(self, begun: dict[str, Any]) -> None:
        header, records = read_lines(begun["history"])
        settings = resolve(begun["spec"], header.settings)
        pinned = pin(settings)
        assert pinned["agent"].pop("settings") == {}
        assert pinned == header.settings
        state = SearchState.recover(header, settings, [], records)
        assert state.agent.learned == 3
        assert [str(proposal.block) for proposal in state.agent.proposals(3)] == begun["next"]

    @pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
    def test_they_say_what_has_no_effect(self, begun: dict[str, Any]) -> None:
        header, records = read_lines(begun["history"])
        settings = resolve(begun["spec"], header.settings)
        state = SearchState.recover(header, settings, [make_shard()], records)
        search = make_search(begun["spec"], status={"startTime": "2024-05-01T12:00:00Z"})
        (event,) = beginning(search, state)
        assert (event.type, event.reason) == ("Warning", "UnusedFields")
        found = refused(begun["spec"])
        assert found
        assert all(f"{name} has no effect with " in event.message for name in found)
        assert event.message.endswith(" goes on as it began; leave such fields out of a new one.")

    @pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
    def test_validate_says_how_to_write_them_anew(self, begun: dict[str, Any]) -> None:
        manifest = {
            "apiVersion": "blockqnn.dev/v1alpha1",
            "kind": "BlockSearch",
            "metadata": {"name": "old"},
            "spec": begun["spec"],
        }
        (search,) = check(yaml.safe_dump(manifest))
        assert sorted(problem.message for problem in search.problems) == sorted(
            refused(begun["spec"]).values()
        )
