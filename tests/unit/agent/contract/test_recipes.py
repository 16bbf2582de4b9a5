"""The contract of finalists: what a recipe fills in, what is refused, what a result may hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from finalist_specs import finalist_fields, finalist_spec
from repository_paths import ROOT

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistResult, FinalistSpec
from blockqnn.contract.message import RESULT_LIMIT, Outcome
from blockqnn.contract.recipes import fill_in
from blockqnn.errors import InvalidMessage, InvalidSettings

VOLUME = Path("/finalists")


def bare(recipe: str, **network: Any) -> FinalistSpec:
    fields = finalist_fields(VOLUME, recipe=recipe, network=network, training={})
    return FinalistSpec.read(json.dumps(fields))


def test_the_recipe_for_cifar_is_that_of_the_paper() -> None:
    training = bare("cifar", filters=[32, 64, 128], repeats=4).training
    assert (training.epochs, training.batch_size) == (300, 128)
    optimizer, schedule = training.optimizer, training.schedule
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay) == (0.1, 0.9, 5e-4)
    assert (schedule.milestones, schedule.factor) == ((150, 225), 0.1)
    assert (training.augmentation.padding, training.augmentation.flip) == (4, True)
    assert training.augmentation.scale is None


def test_the_recipe_for_imagenet_is_that_of_the_papers() -> None:
    spec = bare("imagenet")
    training, scale = spec.training, spec.training.augmentation.scale
    assert (training.epochs, training.batch_size) == (90, 256)
    assert training.optimizer.weight_decay == 1e-4
    assert (training.schedule.milestones, training.schedule.factor) == ((30, 60), 0.1)
    assert scale is not None
    assert (scale.short_side, scale.crop, scale.test_short_side) == ((256, 480), 224, 256)
    assert (spec.network.stem, spec.network.repeats, len(spec.network.filters)) == (
        "ImageNet",
        3,
        4,
    )


def test_what_is_given_wins_over_the_recipe_and_the_rest_is_filled_in() -> None:
    spec = finalist_spec(VOLUME, training={"epochs": 7, "optimizer": {"weightDecay": 0.0}})
    assert spec.training.epochs == 7
    assert spec.training.optimizer.weight_decay == 0.0
    assert spec.training.optimizer.momentum == 0.9
    # What was filled in is written out, so that a later version of a recipe changes nothing.
    assert FinalistSpec.read(spec.model_dump_json()) == spec
    assert '"batchSize":128' in spec.model_dump_json()


def test_one_way_to_crop_takes_the_recipes_other_way_away() -> None:
    scale = {"shortSide": [40, 60], "crop": 32, "testShortSide": 40}
    scaled = fill_in("cifar", {"training": {"augmentation": {"scale": scale}}})
    assert scaled["training"]["augmentation"] == {"scale": scale, "flip": True}
    shifted = fill_in("imagenet", {"training": {"augmentation": {"padding": 2}}})
    assert shifted["training"]["augmentation"] == {"padding": 2, "flip": True}


@pytest.mark.parametrize("wrong", [None, [], "text", 1])
def test_a_section_that_is_no_map_is_refused_by_its_name(wrong: Any) -> None:
    fields = finalist_fields(VOLUME, training__augmentation=wrong)
    with pytest.raises(InvalidMessage, match=r"wrong at training\.augmentation"):
        FinalistSpec.read(json.dumps(fields))


def test_there_is_no_other_recipe() -> None:
    with pytest.raises(
        InvalidSettings, match=r"no recipe 'mnist'; the recipes are cifar, imagenet"
    ):
        fill_in("mnist", {})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipe": "mnist"}, "wrong at recipe"),
        ({"training__epochs": 0}, "wrong at training.epochs"),
        ({"training__batchSize": 1}, "wrong at training.batchSize"),
        ({"training__schedule": {"milestones": [3, 2]}}, "milestones must be in ascending order"),
        (
            {
                "training__augmentation": {
                    "padding": 1,
                    "scale": {"shortSide": [40, 60], "crop": 50, "testShortSide": 60},
                }
            },
            "crop must be at most shortSide's first",
        ),
        (
            {
                "training__augmentation": {
                    "padding": 1,
                    "scale": {"shortSide": [40, 60], "crop": 32, "testShortSide": 60},
                }
            },
            "two ways to crop",
        ),
        ({"network": {"repeats": 1}}, "wrong at network.filters: Field required"),
        ({"network": 3}, "wrong at network"),
        ({"folder": "../elsewhere"}, "wrong at folder"),
        ({"folder": "/elsewhere"}, "wrong at folder"),
        ({"version": 2}, "wrong at version"),
        ({"epochs": 3}, "wrong at epochs: Extra inputs"),
    ],
)
def test_a_wrong_specification_is_refused_with_the_place(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        finalist_spec(VOLUME, **changes)
    assert str(caught.value).startswith("The finalist's specification is wrong")
    assert sentence in str(caught.value)


RESULT = {
    "trial": 3,
    "attempt": 0,
    "seed": 1,
    "blockHash": "928176639508dd84",
    "outcome": "Succeeded",
    "reason": "Completed",
    "accuracy": 0.9,
}


def test_a_result_is_read_as_it_was_written() -> None:
    result = FinalistResult.read(json.dumps(RESULT))
    assert FinalistResult.read(result.write()) == result


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"outcome": "Failed"}, "accuracy must be given exactly when"),
        ({"accuracy": None}, "accuracy must be given exactly when"),
        ({"accuracy": 1.5}, "wrong at accuracy"),
        ({"outcome": Outcome.CACHED}, "wrong at outcome"),
        ({"message": "m" * RESULT_LIMIT}, "bytes long; at most 3584 fit"),
    ],
)
def test_a_wrong_result_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidMessage, match=sentence):
        FinalistResult.read(json.dumps(RESULT | change))


def test_the_examples_are_complete_specifications() -> None:
    examples = sorted((ROOT / "examples" / "finalists").glob("*.json"))
    assert len(examples) == 4
    for example in examples:
        spec = FinalistSpec.read(example.read_text())
        assert str(Block.parse(spec.block)) == spec.block


def test_the_documentations_example_is_a_specification() -> None:
    text = (ROOT / "docs" / "tasks" / "train-finalists.md").read_text()
    spec = FinalistSpec.read(text.partition("```json\n")[2].partition("```")[0])
    assert (spec.training.epochs, spec.training.batch_size) == (100, 128)
