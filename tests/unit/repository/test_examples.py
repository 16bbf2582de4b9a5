"""Every example file is what it says it is."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from repository_paths import ROOT

from blockqnn.contract.finalist import FinalistSpec
from blockqnn_api.finalist_targets import goals_of
from blockqnn_api.resolve import resolve
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_cli.validation.checks import check

EXAMPLES = ROOT / "examples"
SEARCHES = sorted(EXAMPLES.rglob("*.yaml"))
FINALISTS = sorted(EXAMPLES.rglob("*.json"))


def settings_of(name: str) -> BlockSearchSpec:
    body: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return resolve(body["spec"])


@pytest.mark.parametrize("file", SEARCHES, ids=lambda file: file.relative_to(EXAMPLES).as_posix())
def test_an_example_search_can_be_applied(file: Path) -> None:
    for result in check(file.read_text()):
        assert (result.problems, result.warnings) == ((), ())
    for search in yaml.safe_load_all(file.read_text()):
        settings = resolve(search["spec"])
        assert settings.trial.blocks_per_job <= settings.agent.batch_size


@pytest.mark.parametrize("file", FINALISTS, ids=lambda file: file.name)
def test_an_example_finalist_can_be_trained(file: Path) -> None:
    assert FinalistSpec.read(file.read_text()).folder


@pytest.mark.parametrize("name", ["cvpr2018", "aaai2017"])
def test_the_protocols_of_the_papers_are_theirs(name: str) -> None:
    settings = settings_of(name)
    assert settings.budget.trials == 11_392
    assert settings.training.epochs == 12
    own, *targets = goals_of(settings)
    assert (own.count, own.dataset.name) == (100, "cifar100")
    assert {goal.dataset.name for goal in targets} <= {"cifar10", "cifar100"}
    for goal in (own, *targets):
        training = goal.sections(settings.network)["training"]
        assert (training["epochs"], training["batchSize"]) == (300, 128)
        assert training["schedule"]["milestones"] == [150, 225]
        assert goal.dataset.validation.source == "test"


def test_more_filters_are_the_papers() -> None:
    (wide,) = [g for g in goals_of(settings_of("cvpr2018")) if g.name == "cifar10-more-filters"]
    network = wide.sections(settings_of("cvpr2018").network)["network"]
    assert (network["filters"], network["repeats"]) == ([80, 160, 320], 2)


def test_imagenet_is_trained_by_its_recipe_on_whole_images() -> None:
    settings = settings_of("imagenet")
    (target,) = goals_of(settings)[1:]
    sections = target.sections(settings.network)
    assert sections["network"]["filters"] == [64, 128, 256, 512]
    assert (sections["network"]["repeats"], sections["network"]["stem"]) == (3, "ImageNet")
    assert (sections["training"]["epochs"], sections["training"]["batchSize"]) == (90, 256)
    assert target.dataset.image_size is None
