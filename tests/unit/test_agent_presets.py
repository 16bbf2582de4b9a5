"""Presets are complete and valid, and hold what the papers print."""

import pytest

from blockqnn.contract import NetworkSpec, TrainingSpec, Validation
from blockqnn.model import Model
from blockqnn.presets import PRESETS
from blockqnn.settings import AgentSettings, RewardSettings, SearchSettings, SpaceSettings

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
    assert set(preset) == {*SECTIONS, "dataset"}
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
            if model is not SearchSettings and name not in ("replay", "evolution"):
                assert field.description, name


def test_the_numbers_that_cvpr_2018_prints() -> None:
    preset = PRESETS["CVPR2018"]
    assert preset["space"]["maxLayers"] == 23
    agent = AgentSettings.model_validate(preset["agent"])
    assert (agent.learning_rate, agent.discount, agent.batch_size) == (0.01, 1, 64)
    assert (agent.replay.sample_size, agent.replay.updates) == (64, 64)
    trials = agent.batch_size * sum(stage.iterations for stage in agent.epsilon_schedule)
    assert trials == 11_392
    assert preset["reward"] == {"macsWeight": 1.0, "densityWeight": 8.0}
    training = TrainingSpec.model_validate(preset["training"])
    assert (training.epochs, training.batch_size) == (12, 256)
