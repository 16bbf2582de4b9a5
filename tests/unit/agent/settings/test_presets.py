"""Presets are complete and valid, and hold what the papers print."""

import pytest

from blockqnn.contract.dataset import Validation
from blockqnn.contract.training import TrainingSpec
from blockqnn.errors import InvalidSettings
from blockqnn.model import Model
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.presets import DEFAULT_PRESET, PRESETS, PURPOSES, preset_for
from blockqnn.settings.search import (
    AgentSettings,
    PredictorSettings,
    RewardSettings,
    SearchSettings,
    SpaceSettings,
)

SECTIONS: dict[str, type[Model]] = {
    "space": SpaceSettings,
    "agent": AgentSettings,
    "reward": RewardSettings,
    "network": NetworkSpec,
    "training": TrainingSpec,
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_fills_every_section(name: str) -> None:
    preset = PRESETS[name]
    assert set(preset) - {"budget"} == {*SECTIONS, "dataset"}
    for section, model in SECTIONS.items():
        filled = model.model_validate(preset[section])
        assert filled.model_dump(mode="json") == model.model_validate_json(
            filled.model_dump_json()
        ).model_dump(mode="json")
    assert set(preset["dataset"]) == {"validation"}
    Validation.model_validate(preset["dataset"]["validation"])


def test_settings_have_no_defaults_and_say_what_they_mean() -> None:
    for model in (SpaceSettings, AgentSettings, RewardSettings, SearchSettings):
        for name, field in model.model_fields.items():
            assert field.is_required(), name
            if model is not SearchSettings and name not in ("replay", "evolution", "constraints"):
                assert field.description, name


def test_the_numbers_that_cvpr_2018_prints() -> None:
    preset = PRESETS["CVPR2018"]
    assert preset["space"]["maxLayers"] == 23
    agent = AgentSettings.model_validate(preset["agent"])
    assert (agent.learning_rate, agent.discount, agent.batch_size) == (0.01, 1, 64)
    assert (agent.replay.sample_size, agent.replay.updates) == (64 * 64, 64 * 64)
    trials = agent.batch_size * sum(stage.iterations for stage in agent.epsilon_schedule)
    assert trials == 11_392
    assert preset["reward"] == {"macsWeight": 1.0, "densityWeight": 8.0}
    training = TrainingSpec.model_validate(preset["training"])
    assert (training.epochs, training.batch_size) == (12, 256)


def test_the_numbers_that_aaai_2017_prints() -> None:
    preset = PRESETS["AAAI2017"]
    assert (preset["space"]["maxLayers"], preset["space"]["startWithIdentity"]) == (23, True)
    agent = AgentSettings.model_validate(preset["agent"])
    assert (agent.shaping, agent.batch_size, agent.learning_rate) == ("AAAI2017", 64, 0.01)
    assert (agent.replay.sample_size, agent.replay.updates) == (64 * 128, 64 * 128)
    assert preset["reward"] == {"macsWeight": 0.5, "densityWeight": 0.5}


def test_the_numbers_that_metaqnn_prints() -> None:
    preset = PRESETS["MetaQNN"]
    agent = AgentSettings.model_validate(preset["agent"])
    models = [stage.iterations * agent.batch_size for stage in agent.epsilon_schedule]
    assert models == [1500, 100, 100, 100, 150, 150, 150, 150, 150, 150]
    assert agent.replay.updates == 100 * agent.batch_size
    training = TrainingSpec.model_validate(preset["training"])
    assert (training.epochs, training.restarts.maximum) == (20, 5)


@pytest.mark.parametrize(
    ("trials", "batch", "population"),
    [(1, 1, 10), (64, 3, 21), (512, 25, 50), (2000, 64, 50), (99_999, 64, 50)],
)
def test_efficient_depends_on_the_budget(trials: int, batch: int, population: int) -> None:
    preset = preset_for("Efficient", trials)
    agent = AgentSettings.model_validate(preset["agent"])
    assert agent.batch_size == batch
    assert agent.evolution.population_size == population
    assert preset["budget"] == {"trials": trials}
    assert sum(stage.iterations for stage in agent.epsilon_schedule) == 20


@pytest.mark.parametrize(("trials", "warmup"), [(1, 0), (64, 9), (512, 76), (2000, 128)])
def test_efficient_predicts_after_a_share_of_the_budget(trials: int, warmup: int) -> None:
    agent = AgentSettings.model_validate(preset_for("Efficient", trials)["agent"])
    assert agent.predictor == PredictorSettings(
        candidates=10, mutated=0.5, optimism=3.0, keep_random=0.0, warmup=warmup
    )


@pytest.mark.parametrize("name", ["Efficient", "OneGPU"])
def test_the_reward_of_the_presets_for_budgets_is_the_bare_accuracy(name: str) -> None:
    assert PRESETS[name]["reward"] == {"macsWeight": 0.0, "densityWeight": 0.0}


@pytest.mark.parametrize("trials", [1, 64, 512, 2000, 99_999])
def test_one_gpu_is_efficient_with_trainings_that_stop_themselves(trials: int) -> None:
    preset, efficient = preset_for("OneGPU", trials), preset_for("Efficient", trials)
    agent = AgentSettings.model_validate(preset["agent"])
    assert agent.early_termination is not None
    without = agent.model_copy(update={"early_termination": None})
    assert without == AgentSettings.model_validate(efficient["agent"])
    assert preset["budget"] == {"trials": trials, "gpuHours": 20.0}
    others = set(preset) - {"agent", "budget"}
    assert {name: preset[name] for name in others} == {name: efficient[name] for name in others}


def test_without_a_budget_a_preset_is_as_it_is_written_and_fits_its_own() -> None:
    for name, preset in PRESETS.items():
        assert preset_for(name) == preset
        if "budget" in preset:
            assert preset_for(name, preset["budget"]["trials"]) == preset
    papers = preset_for("CVPR2018", 11_392)
    assert papers["agent"]["batchSize"] == 64
    assert "budget" not in papers


def test_every_preset_says_for_whom_it_is() -> None:
    assert set(PURPOSES) == set(PRESETS)
    assert all(purpose.startswith("for ") and len(purpose) < 80 for purpose in PURPOSES.values())
    assert DEFAULT_PRESET in PRESETS


@pytest.mark.parametrize("field", ["predictor", "earlyTermination"])
def test_what_is_not_enabled_is_absent(field: str) -> None:
    agent = {**PRESETS["OneGPU"]["agent"], field: {"enabled": False}}
    assert AgentSettings.model_validate(agent).model_dump(mode="json")[field] is None


def test_no_such_preset_and_no_budget_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"no preset 'V2'; the presets are AAAI2017, CVPR"):
        preset_for("V2", 64)
    with pytest.raises(InvalidSettings, match="budget of 0 trials is empty"):
        preset_for("Efficient", 0)
