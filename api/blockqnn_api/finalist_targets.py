"""The targets of finalists: the search's own dataset and each target, with all settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from blockqnn.contract.finalist import FinalistNetwork, FinalistTraining
from blockqnn.contract.message import describe
from blockqnn.contract.recipes import RECIPES, fill_in, overlay
from blockqnn.network.datasets import DATASETS
from blockqnn.network.spec import NetworkSpec, most_stages
from blockqnn_api.errors import InvalidSearch
from blockqnn_api.finalists_spec import Finalists, Target
from blockqnn_api.spec import BlockSearchSpec, Dataset

OWN = ""
"""The name of the search's own dataset, which is no transfer."""


@dataclass(frozen=True, slots=True)
class FinalistTarget:
    """One dataset and network that finalists are trained for."""

    name: str
    """The name of the target; :data:`OWN` for the search's own dataset."""
    count: int
    """Number of blocks."""
    seeds: int
    """Number of trainings of each block."""
    dataset: Dataset
    recipe: str
    network: Mapping[str, Any]
    """Given fields of the network; the search and the recipe fill in the rest."""
    training: Mapping[str, Any]
    """Given fields of the training; the recipe fills in the rest."""

    def sections(self, searched: NetworkSpec) -> dict[str, Any]:
        """Return `network` and `training` complete, as JSON.

        Args:
            searched: the network of the search. Its output projection belongs to the block; a
                recipe that names its own filters and repeats overrides those of the search.
        """
        base = searched.model_dump(mode="json")
        recipe = RECIPES[self.recipe]["network"]
        taken = {key: base[key] for key in base if key not in recipe or key == "outputProjection"}
        given = {"network": {**taken, **self.network}, "training": self.training}
        return fill_in(self.recipe, given)


def goals_of(settings: BlockSearchSpec) -> tuple[FinalistTarget, ...]:
    """Return the targets of a search's finalists, its own dataset first."""
    asked = settings.finalists
    if asked is None:
        return ()
    own = FinalistTarget(
        name=OWN,
        count=asked.count,
        seeds=asked.seeds,
        dataset=_own_dataset(settings, asked),
        recipe=asked.recipe,
        network=asked.network,
        training=asked.training,
    )
    return (own, *(_goal(settings, asked, own, target) for target in asked.targets))


def check_finalists(settings: BlockSearchSpec) -> None:
    """Check that the settings of finalists are complete and fit one another.

    Raises:
        InvalidSearch: naming the field that is wrong.
    """
    asked = settings.finalists
    if asked is None:
        return
    targets = [target.name for target in asked.targets]
    for name in targets:
        if targets.count(name) > 1:
            raise InvalidSearch(
                f"spec.finalists.targets has two targets called {name!r}; each needs its own name."
            )
    for goal in goals_of(settings):
        number = targets.index(goal.name) if goal.name else 0
        where = f"spec.finalists.targets[{number}]" if goal.name else "spec.finalists"
        sections = goal.sections(settings.network)
        for section, model in (("network", FinalistNetwork), ("training", FinalistTraining)):
            try:
                model.model_validate(sections[section])
            except ValidationError as error:
                raise InvalidSearch(f"{where}.{section} {describe(error)}.") from None


def check_stages(settings: BlockSearchSpec) -> None:
    """Check that no network has more stages than its images allow, as far as these are known.

    Every training of such a network fails. A search that has begun is not checked: its finalists
    fail one by one, and the search goes on.

    Raises:
        InvalidSearch: naming the filters, the size of the images, and how many they allow.
    """
    _check_stages("spec.network", settings.network, settings.dataset)
    for number, goal in enumerate(goals_of(settings)):
        sections = goal.sections(settings.network)
        network = FinalistNetwork.model_validate(sections["network"])
        training = FinalistTraining.model_validate(sections["training"])
        # Images that are cropped have another size than the dataset's.
        if training.augmentation.scale is None:
            where = f"spec.finalists.targets[{number - 1}]" if goal.name else "spec.finalists"
            _check_stages(f"{where}.network", network, goal.dataset, network.stem)


def _sides(dataset: Dataset) -> tuple[int, int] | None:
    """Return height and width of the images in pixels; None if they are not known."""
    if dataset.image_size is not None:
        return dataset.image_size, dataset.image_size
    return None if dataset.images is None else (dataset.images.height, dataset.images.width)


def _check_stages(where: str, network: NetworkSpec, dataset: Dataset, stem: str = "Plain") -> None:
    sides = _sides(dataset)
    if sides is None:
        return
    reduction = 4 if stem == "ImageNet" else 1
    height, width = (-(-side // reduction) for side in sides)
    allowed = most_stages(height, width)
    if len(network.filters) <= allowed:
        return
    size, remedy = f"{height}x{width} pixels", f"give at most {allowed} filters"
    if reduction > 1:
        size += f" after the stem {stem}"
        remedy += ", or the stem Plain"
    if dataset.image_size is not None:
        remedy += ", or a larger imageSize"
    elif dataset.shape is not None:
        remedy += ", or correct the height and width of the dataset's shape"
    raise InvalidSearch(
        f"{where}.filters has {len(network.filters)} stages, between which the image is halved, "
        f"but images of {size} allow only {allowed}; {remedy}."
    )


def _own_dataset(settings: BlockSearchSpec, asked: Finalists) -> Dataset:
    dataset = settings.dataset
    validation = _validation(settings, dataset.name, asked.validation)
    return _dataset({**dataset.model_dump(), "validation": validation}, "spec.finalists.validation")


def _goal(
    settings: BlockSearchSpec, asked: Finalists, own: FinalistTarget, target: Target
) -> FinalistTarget:
    inherits = target.recipe is None
    return FinalistTarget(
        name=target.name,
        count=target.count,
        seeds=asked.seeds if target.seeds is None else target.seeds,
        dataset=_target_dataset(settings, target) or own.dataset,
        recipe=asked.recipe if target.recipe is None else target.recipe,
        network=overlay(asked.network if inherits else {}, target.network),
        training=overlay(asked.training if inherits else {}, target.training),
    )


def _target_dataset(settings: BlockSearchSpec, target: Target) -> Dataset | None:
    asked = target.dataset
    if asked is None:
        return None
    validation = _validation(settings, asked.name, asked.validation)
    where = f"The dataset of the target {target.name!r} in spec.finalists.targets"
    return _dataset({**asked.model_dump(exclude_none=True), "validation": validation}, where)


def _validation(settings: BlockSearchSpec, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    base = settings.dataset.validation.model_dump()
    if DATASETS[name].official:
        base["source"] = "test"
    elif name == "digits":
        base["source"] = "train"
    return {**base, **given}


def _dataset(fields: Mapping[str, Any], where: str) -> Dataset:
    try:
        return Dataset.model_validate(fields)
    except ValidationError as error:
        raise InvalidSearch(f"{where} {describe(error)}.") from None
