"""From what a user wrote to a complete search."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_spec

from blockqnn.block.layer_types import PAPERS
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import PredictorSettings
from blockqnn.surrogate.early_termination import stopping_epochs
from blockqnn_api.errors import InvalidSearch
from blockqnn_api.resolve import PINNED_SECTIONS, pin, resolve
from blockqnn_api.spec import BlockSearchSpec

SMALLEST = {"dataset": {"name": "cifar100"}}
PAPERS_SEARCH = {**SMALLEST, "preset": "CVPR2018"}
PRESET = PRESETS["CVPR2018"]


def sections(resolved: BlockSearchSpec, *names: str) -> dict[str, Any]:
    dumped = resolved.model_dump(mode="json")
    return {name: dumped[name] for name in names}


def iterations(resolved: BlockSearchSpec) -> int:
    return sum(stage.iterations for stage in resolved.agent.epsilon_schedule)


def refusal(spec: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidSearch) as refused:
        resolve(spec)
    return str(refused.value)


def test_a_dataset_is_a_complete_search_of_512_trials() -> None:
    resolved = resolve(SMALLEST)
    assert (resolved.preset, resolved.budget.trials) == ("Efficient", 512)
    assert (resolved.agent.batch_size, iterations(resolved)) == (25, 21)
    assert resolved == resolve({**SMALLEST, "preset": "Efficient", "budget": {"trials": 512}})


def test_a_preset_of_the_papers_is_the_search_of_the_paper() -> None:
    resolved = resolve(PAPERS_SEARCH)
    assert resolved.budget.trials == 11_392
    assert iterations(resolved) == 178
    assert resolved.dataset.validation.fraction == 0.1
    for name in PINNED_SECTIONS:
        assert sections(resolved, name)[name] == PRESET[name]


def test_a_field_that_is_set_wins_over_the_preset_and_its_neighbours_stay() -> None:
    resolved = resolve({**SMALLEST, "training": {"optimizer": {"learningRate": 0.5}}})
    assert resolved.training.optimizer.learning_rate == 0.5
    assert resolved.training.optimizer.beta2 == 0.999
    assert resolved.training.epochs == 12


def test_a_list_replaces_that_of_the_preset() -> None:
    assert resolve({**SMALLEST, "network": {"filters": [8]}}).network.filters == (8,)


def test_resolving_changes_neither_the_spec_nor_the_preset() -> None:
    spec = make_spec()
    before, preset = repr(spec), repr(PRESET)
    resolve(spec)
    assert (repr(spec), repr(PRESET)) == (before, preset)


@pytest.mark.parametrize(
    ("trials", "batch", "expected"), [(8, 4, 2), (9, 4, 3), (1, 64, 1), (640, 64, 10)]
)
def test_the_schedule_of_the_preset_is_scaled_to_the_budget(
    trials: int, batch: int, expected: int
) -> None:
    resolved = resolve(make_spec(budget={"trials": trials}, agent={"batchSize": batch}))
    assert iterations(resolved) == expected
    assert resolved.agent.epsilon_schedule[0].epsilon == 1.0


def test_without_a_budget_the_batch_size_decides_about_the_trials() -> None:
    resolved = resolve({**PAPERS_SEARCH, "agent": {"batchSize": 10}})
    assert (resolved.budget.trials, iterations(resolved)) == (1780, 178)


def test_a_schedule_that_does_not_fit_the_budget_is_refused() -> None:
    schedule = [{"epsilon": 1.0, "iterations": 2}, {"epsilon": 0.1, "iterations": 1}]
    spec = make_spec(agent={"batchSize": 4, "epsilonSchedule": schedule})
    assert refusal(spec) == (
        "spec.agent.epsilonSchedule has 3 iterations, but the budget of 8 trials makes 2 "
        "iterations of 4. Change one of them, or omit epsilonSchedule: the preset's is scaled "
        "to the budget."
    )
    assert iterations(resolve({**spec, "budget": {"trials": 12}})) == 3


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    assert refusal({**SMALLEST, "preset": "Best"}) == (
        "spec.preset is 'Best'; the presets are AAAI2017, CVPR2018, Efficient, MetaQNN, OneGPU."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": {}}, "The spec is wrong at dataset.name: Field required."),
        (
            {"dataset": {"name": "mnist"}},
            "The spec is wrong at dataset.name: Input should be 'digits', 'npz', 'cifar10', "
            "'cifar100', 'svhn', 'fashion_mnist', 'kmnist' or 'imagefolder'.",
        ),
        (
            {"agent": {"batchSize": 0}},
            "The spec is wrong at agent.batchSize: Input should be greater than or equal to 1.",
        ),
        ({"agent": {"batchSize": "few"}}, "The spec is wrong at agent.batchSize: "),
        ({"budget": {"trials": 0}}, "The spec is wrong at budget.trials: "),
        ({"budget": {"trials": 10**12}}, "The spec is wrong at budget.trials: "),
        ({"budget": {"trials": []}}, "The spec is wrong at budget.trials: "),
        ({"budget": 12}, "The spec is wrong at budget: "),
        ({"agent": [1]}, "The spec is wrong at agent: "),
        ({"preset": ["CVPR2018"]}, "spec.preset is ['CVPR2018']; the presets are "),
        ({"typo": 1}, "The spec is wrong at typo: Extra inputs are not permitted."),
        (
            {"failurePolicy": {"trialTimeout": "soon"}},
            "spec.failurePolicy.trialTimeout: 'soon' is not a duration; write hours, minutes and "
            "seconds as in 90s, 45m or 1h30m.",
        ),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], said: str) -> None:
    assert refusal({**SMALLEST, **change}).startswith(said)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
WHERE = [
    ("preset",),
    ("budget",),
    ("budget", "trials"),
    ("agent",),
    ("agent", "batchSize"),
    ("agent", "epsilonSchedule"),
    ("dataset", "validation"),
    ("trial", "podTemplate", "spec"),
]


@given(st.sampled_from(WHERE), json)
def test_any_json_is_resolved_or_refused(path: tuple[str, ...], value: Any) -> None:
    for name in reversed(path):
        value = {name: value}
    with suppress(InvalidSearch):
        resolve({**SMALLEST, **value} if path[0] != "dataset" else {"dataset": value["dataset"]})


def test_null_means_left_out() -> None:
    assert resolve({**SMALLEST, "agent": None, "budget": {"trials": None}}) == resolve(SMALLEST)


def test_what_is_pinned_decides_what_a_result_means() -> None:
    resolved = resolve(make_spec(budget={"trials": 12}))
    pinned = pin(resolved)
    assert set(pinned) == {"preset", *PINNED_SECTIONS, "dataset", "budget"}
    assert pinned["preset"] == "CVPR2018"
    assert pinned["dataset"] == {
        "imageSize": None,
        "validation": {"source": "train", "fraction": 0.1},
    }
    assert pinned["budget"] == {"trials": 12}


def test_a_running_search_is_resolved_to_itself() -> None:
    off = {"predictor": {"enabled": False}, "earlyTermination": {"enabled": False}}
    for spec in (
        SMALLEST,
        make_spec(),
        make_spec(preset="OneGPU", training={"epochs": 5}),
        make_spec(preset="OneGPU", training={"epochs": 1}),
        make_spec(preset="OneGPU", agent=off),
        make_spec(preset="Efficient", agent={"algorithm": "Evolution"}),
    ):
        assert resolve(spec, pin(resolve(spec))) == resolve(spec)


def test_an_upgrade_that_changes_the_preset_changes_no_running_search() -> None:
    earlier = resolve({**PAPERS_SEARCH, "training": {"epochs": 3}, "agent": {"discount": 0.5}})
    assert resolve(SMALLEST, pin(earlier)) == earlier


def test_an_upgrade_that_adds_a_field_takes_it_from_the_preset() -> None:
    resolved = resolve(make_spec(agent={"batchSize": 4, "discount": 0.5}))
    pinned = pin(resolved)
    del pinned["agent"]["shaping"], pinned["network"]
    assert resolve(make_spec(), pinned) == resolved


def test_a_search_that_is_older_than_precision_goes_on_in_float32() -> None:
    spec = make_spec()
    pinned = pin(resolve(spec))
    assert resolve(spec, pinned).training.precision == "auto"
    del pinned["training"]["precision"]
    assert resolve(spec, pinned).training.precision == "float32"


def test_a_search_that_is_older_than_layers_keeps_the_papers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pinned = pin(resolve(make_spec()))
    del pinned["space"]["layers"]
    monkeypatch.setitem(PRESET["space"], "layers", ["Convolution"])
    assert resolve(make_spec(), pinned).space.layers == PAPERS
    assert resolve(make_spec()).space.layers == ("Convolution",)


@pytest.mark.parametrize("preset", ["Efficient", "OneGPU"])
def test_a_search_that_began_before_blocks_were_mutated_goes_on_without(preset: str) -> None:
    spec = make_spec(preset=preset, agent={"predictor": {"optimism": 2.0}})
    pinned = pin(resolve(spec))
    assert pinned["agent"]["predictor"]["mutated"] == 0.5
    del pinned["agent"]["predictor"]["mutated"]
    old = resolve(spec, pinned).agent.predictor
    assert old is not None
    assert old.mutated == 0.0
    assert old.optimism == 2.0


@pytest.mark.parametrize("preset", ["CVPR2018", "Efficient", "OneGPU"])
def test_a_search_that_began_without_a_predictor_goes_on_without(preset: str) -> None:
    spec = make_spec(preset=preset)
    pinned = pin(resolve(spec))
    pinned["agent"]["predictor"] = pinned["agent"]["earlyTermination"] = None
    agent = resolve(spec, pinned).agent
    assert (agent.predictor, agent.early_termination) == (None, None)
    del pinned["agent"]["predictor"], pinned["agent"]["earlyTermination"]
    agent = resolve(spec, pinned).agent
    assert (agent.predictor, agent.early_termination) == (None, None)


def test_layers_are_pinned_whatever_their_order_and_stay() -> None:
    layers = ["PreviousInput", "SeparableConvolution", "Identity"]
    spec = make_spec(space={"maxLayers": 5, "layers": layers})
    pinned = ["Identity", "SeparableConvolution", "PreviousInput"]
    assert pin(resolve(spec))["space"]["layers"] == pinned
    turned = make_spec(space={"maxLayers": 5, "layers": layers[::-1]})
    assert resolve(turned, pin(resolve(spec))) == resolve(spec)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"layers": []}, "The spec is wrong at space.layers: Tuple should have at least 1 item"),
        ({"layers": ["Pooling"]}, "The spec is wrong at space.layers.0: Input should be 'Conv"),
        ({"layers": ["Identity"]}, "spec.space.layers has no convolution to the width of a stage"),
        ({"layers": ["Convolution"] * 2}, "spec.space.layers names Convolution twice"),
        (
            {"layers": ["Convolution", "Bottleneck"], "convolution": "Separate"},
            "spec.space.layers has Bottleneck, a cell of ReLU, convolution and batch norm, but "
            "space.convolution Separate",
        ),
        (
            {"layers": ["Convolution"], "startWithIdentity": True},
            "spec.space.layers has no Identity, but with space.startWithIdentity",
        ),
    ],
)
def test_layers_that_make_no_space_are_refused(space: dict[str, Any], said: str) -> None:
    assert refusal(make_spec(space=space)).startswith(said)


def test_the_preprints_first_identity_needs_an_identity() -> None:
    """The preset says so, not the user."""
    changes = {"layers": ["Convolution", "Add"], "startWithIdentity": None}
    spec = make_spec(preset="AAAI2017", space=changes)
    assert "add Identity, or set startWithIdentity to false" in refusal(spec)


def test_the_size_of_images_is_pinned() -> None:
    folder = {"dataset": {"name": "imagefolder", "imageSize": 64}}
    assert pin(resolve(make_spec(**folder)))["dataset"]["imageSize"] == 64


def test_a_raised_budget_keeps_the_schedule_that_the_search_began_with() -> None:
    started = resolve(make_spec(budget={"trials": 8}))
    raised = resolve(make_spec(budget={"trials": 80}), pin(started))
    assert raised.budget.trials == 80
    assert raised.agent == started.agent


def test_what_may_change_is_taken_from_the_spec_as_it_is_now() -> None:
    pinned = pin(resolve(make_spec()))
    changed = make_spec(parallelism=7, suspend=True, failurePolicy={"maxFailedTrials": 3})
    resolved = resolve(changed, pinned)
    assert (resolved.parallelism, resolved.suspend) == (7, True)
    assert resolved.failure_policy.max_failed_trials == 3


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_resolves_at_every_budget(name: str) -> None:
    for budget in ({}, {"budget": {"trials": 64}}, {"budget": {"trials": 2000}}):
        resolved = resolve({"dataset": {"name": "cifar100"}, "preset": name, **budget})
        assert resolved.preset == name
        assert budget in ({}, {"budget": {"trials": resolved.budget.trials}})


@pytest.mark.parametrize("preset", ["Efficient", "OneGPU"])
@pytest.mark.parametrize(
    "agent",
    [{"algorithm": "Evolution"}, {"algorithm": "RandomSearch"}, {"duplicates": "Keep"}],
    ids=str,
)
def test_the_preset_s_predictor_is_left_out_where_the_agent_cannot_have_one(
    preset: str, agent: dict[str, Any]
) -> None:
    spec = {**SMALLEST, "preset": preset, "agent": agent}
    assert resolve(spec).agent.predictor is None
    off = {**agent, "predictor": {"enabled": False}}
    assert resolve({**spec, "agent": off}) == resolve(spec)
    own = {**agent, "predictor": {}}
    assert refusal({**spec, "agent": own}).startswith("spec.agent.predictor ")


def test_a_predictor_can_be_switched_off_and_changed() -> None:
    def predictor(**asked: Any) -> PredictorSettings | None:
        return resolve({**SMALLEST, "agent": {"predictor": asked}}).agent.predictor

    assert predictor(enabled=False) is None
    assert predictor(enabled=False, candidates=5) is None
    assert predictor(candidates=5) == PredictorSettings(candidates=5, warmup=76)
    assert predictor(warmup=0) == PredictorSettings(warmup=0)


def test_a_predictor_that_the_preset_does_not_have_waits_for_a_share_of_the_budget() -> None:
    agent = {"duplicates": "Redraw", "predictor": {"candidates": 4}}
    resolved = resolve({**PAPERS_SEARCH, "budget": {"trials": 200}, "agent": agent})
    assert resolved.agent.predictor == PredictorSettings(candidates=4, warmup=30)


def looked_at(preset: str, trained: int | None, **early: Any) -> tuple[int, ...] | None:
    """After which epochs curves are looked at; None where trainings do not stop themselves."""
    spec: dict[str, Any] = {**SMALLEST, "preset": preset}
    if trained is not None:
        spec["training"] = {"epochs": trained}
    if early:
        spec["agent"] = {"earlyTermination": early}
    termination = resolve(spec).agent.early_termination
    return termination.epochs if termination else None


def test_trainings_stop_themselves_after_epochs_that_they_have() -> None:
    assert looked_at("OneGPU", None) == (4, 5, 6, 7, 8)
    assert looked_at("OneGPU", 4) == (1, 2, 3)
    assert looked_at("OneGPU", 2) == (1,)
    assert looked_at("OneGPU", 1) is None
    assert looked_at("OneGPU", 36) == (12, 15, 18, 21, 24)
    assert looked_at("OneGPU", 36, epochs=[3]) == (3,)
    assert looked_at("OneGPU", 12, enabled=False) is None


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"OneGPU"}))
def test_trainings_of_every_preset_can_stop_themselves(preset: str) -> None:
    assert looked_at(preset, 12) is None
    assert looked_at(preset, 12, warmup=20) == (4, 5, 6, 7, 8)
    assert looked_at(preset, 6, share=0.1) == (2, 3, 4)


@given(st.integers(2, 1000))
def test_early_termination_scales_with_the_training(epochs: int) -> None:
    for preset in ("OneGPU", "CVPR2018"):
        expected = stopping_epochs(epochs) or None
        assert looked_at(preset, epochs, enabled=True) == expected


@pytest.mark.parametrize("trials", [1, 11, 64, 300, 512, 2000, 99_999])
def test_what_depends_on_the_budget_does_so_whatever_else_is_set(trials: int) -> None:
    plain = resolve({**SMALLEST, "budget": {"trials": trials}}).agent
    agent = {
        "batchSize": 7,
        "predictor": {"optimism": 1.0},
    }
    own = resolve({**SMALLEST, "budget": {"trials": trials, "gpuHours": 3}, "agent": agent}).agent
    assert plain.predictor is not None
    assert own.predictor is not None
    assert own.predictor.warmup == plain.predictor.warmup == min(128, trials * 15 // 100)
    bred = {"algorithm": "Evolution", "evolution": {"sampleSize": 3}}
    evolving = resolve({**SMALLEST, "budget": {"trials": trials}, "agent": bred}).agent.evolution
    assert evolving.population_size == plain.evolution.population_size
    assert sum(stage.iterations for stage in own.epsilon_schedule) == -(-trials // 7)
    assert plain.batch_size == min(64, max(1, trials // 20))


def test_a_budget_without_trials_leaves_the_preset_s() -> None:
    assert resolve({**SMALLEST, "budget": {"gpuHours": 5}}).agent == resolve(SMALLEST).agent


def test_efficient_learns_twenty_times_whatever_the_budget() -> None:
    spec = {"dataset": {"name": "cifar100"}, "preset": "Efficient"}
    assert resolve(spec).agent.batch_size == 25
    assert resolve({**spec, "budget": {"trials": 128}}).agent.batch_size == 6
    asked = {**spec, "budget": {"trials": 128}, "agent": {"batchSize": 16}}
    assert resolve(asked).agent.batch_size == 16


def test_a_search_that_names_no_trainer_takes_the_operators() -> None:
    assert resolve(SMALLEST, trainer_image="registry/trainer:1").trial.image == "registry/trainer:1"
    own = {**SMALLEST, "trial": {"image": "mine:2"}}
    assert resolve(own, trainer_image="registry/trainer:1").trial.image == "mine:2"


def test_a_running_search_takes_the_trainer_of_an_upgraded_operator() -> None:
    pinned = pin(resolve(SMALLEST, trainer_image="registry/trainer:1"))
    assert resolve(SMALLEST, pinned, "registry/trainer:2").trial.image == "registry/trainer:2"


def test_limits_that_no_block_keeps_make_the_search_invalid() -> None:
    with pytest.raises(
        InvalidSearch, match=r"^spec\.space\.constraints, maxParameters 100, leaves"
    ):
        resolve({**SMALLEST, "space": {"constraints": {"maxParameters": 100}}})


def test_limits_for_images_of_ones_own_need_their_shape() -> None:
    spec = {"space": {"constraints": {"maxMacs": 10**9}}, "dataset": {"name": "npz"}}
    with pytest.raises(InvalidSearch, match=r"dataset\.shape"):
        resolve(spec)
    shape = {"channels": 3, "height": 64, "width": 48, "classes": 7}
    resolved = resolve({**spec, "dataset": {"name": "npz", "shape": shape}})
    assert resolved.dataset.images is not None
    assert resolved.dataset.images.size == (3, 64, 48)


FINALISTS = {"volume": {"persistentVolumeClaim": {"claimName": "models"}}}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"training": {"epochs": 0}}, "spec.finalists.training is wrong at epochs"),
        (
            {"training": {"schedule": {"milestones": [5, 3]}}},
            "milestones must be in ascending order",
        ),
        (
            {"targets": [{"name": "a"}, {"name": "b", "network": {"width": 3}}]},
            "spec.finalists.targets[1].network is wrong at width",
        ),
        ({"targets": [{"name": "a"}, {"name": "a"}]}, "two targets called 'a'"),
        ({"timeout": "3d"}, "'3d' is not a duration"),
        ({"targets": [{"name": "a", "dataset": {"name": "cifar10", "path": "/finalists",
          "volume": {"emptyDir": {}}}}]}, "change spec.finalists.path"),
    ],
)  # fmt: skip
def test_finalists_that_cannot_be_trained_are_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSearch) as refused:
        resolve({"dataset": {"name": "digits"}, "finalists": FINALISTS | asked})
    assert said in str(refused.value)
