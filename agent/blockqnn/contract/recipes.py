"""Recipes of complete trainings, by name: the defaults of a finalist's specification.

A recipe is plain data in the names of :class:`~blockqnn.contract.finalist.FinalistSpec`. Each value
names its source; "CVPR" is Practical Block-wise Neural Network Architecture Generation
(2018), "AAAI" is Practical Network Blocks Design with Q-Learning (2017), "He 2016" is Deep Residual
Learning for Image Recognition.
"""

from collections.abc import Mapping
from typing import Any

from blockqnn.errors import InvalidSettings

Recipe = Mapping[str, Mapping[str, Any]]
"""Values for the sections network and training."""

_CIFAR: Recipe = {
    "network": {
        "stem": "Plain",  # CVPR Fig. 3: a convolution; images of 32x32 keep their size
        "outputProjection": True,  # as in the presets of searches
    },
    "training": {
        "epochs": 300,  # CVPR 4.2
        "batchSize": 128,  # CVPR 4.2
        "precision": "auto",  # the papers' GPUs had float32 alone
        "optimizer": {
            "name": "SGD",  # CVPR 4.2
            "learningRate": 0.1,  # CVPR 4.2
            "momentum": 0.9,  # CVPR 4.2
            "weightDecay": 5e-4,  # CVPR 4.2; of every parameter, as nothing else is said
        },
        "schedule": {
            "milestones": [150, 225],  # CVPR 4.2
            "factor": 0.1,  # not printed for CIFAR; as for ImageNet
        },
        "augmentation": {
            "padding": 4,  # AAAI, Experiments on CIFAR: crops of 32x32 from 40x40
            "flip": True,  # CVPR 4.2
        },
    },
}

_IMAGENET: Recipe = {
    "network": {
        "filters": [64, 128, 256, 512],  # not in the text at hand; He 2016, table 1
        "repeats": 3,  # CVPR 5.3
        "stem": "ImageNet",  # CVPR 5.3: more down-sampling before the blocks; He 2016, table 1
        "outputProjection": True,  # as in the presets of searches
    },
    "training": {
        "epochs": 90,  # CVPR 4.2
        "batchSize": 256,  # CVPR 4.2
        "precision": "auto",  # as cifar
        "optimizer": {
            "name": "SGD",  # CVPR 4.2
            "learningRate": 0.1,  # CVPR 4.2
            "momentum": 0.9,  # CVPR 4.2
            "weightDecay": 1e-4,  # CVPR 4.2
        },
        "schedule": {
            "milestones": [30, 60],  # CVPR 4.2
            "factor": 0.1,  # CVPR 4.2
        },
        "augmentation": {
            "scale": {
                "shortSide": [256, 480],  # AAAI, Experiment on ImageNet
                "crop": 224,  # AAAI, the same
                "testShortSide": 256,  # AAAI, the same
            },
            "flip": True,  # CVPR 4.2
        },
    },
}

RECIPES: Mapping[str, Recipe] = {"cifar": _CIFAR, "imagenet": _IMAGENET}
"""`cifar`: the complete training of CVPR 2018, section 4.2, for images that fit on the device.

`imagenet`: its transfer to ImageNet, section 5.3, with four stages behind a stem that takes a
quarter of each side; the augmentation is AAAI 2017's, which CVPR 2018 abridges.
"""


def fill_in(recipe: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a user's values into a recipe, field by field; the user's values win.

    Args:
        recipe: the name of a recipe.
        given: values for `network` and `training`, nested as in the recipe. A padding and a scale
            exclude one another, so the one that is given removes the other from the recipe.

    Raises:
        InvalidSettings: when there is no such recipe.
    """
    if recipe not in RECIPES:
        raise InvalidSettings(
            f"There is no recipe {recipe!r}; the recipes are {', '.join(sorted(RECIPES))}."
        )
    filled = overlay(RECIPES[recipe], given)
    training = given.get("training")
    named = training.get("augmentation") if isinstance(training, Mapping) else None
    # Anything else than a map is what the models refuse, with the field's name.
    named = named if isinstance(named, Mapping) else {}
    for chosen, other in (("padding", "scale"), ("scale", "padding")):
        if named.get(chosen) and other not in named:
            filled["training"]["augmentation"].pop(other, None)
    return filled


def overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings, field by field; the values of `over` win."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = overlay(below, value) if both else value  # type: ignore[arg-type]
    return result
