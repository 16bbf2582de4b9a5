"""The datasets that a search can name, in a single list.

A dataset with official files also needs a reader in
``trainer_image/blockqnn_trainer/datasets/official.py``, and nothing else.
"""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from blockqnn.network.spec import ImageShape


class KnownDataset(NamedTuple):
    """Properties of a dataset that are known before an image is read."""

    images: ImageShape | None
    """Shape of the images; None if they are the user's own."""
    official: bool = False
    """True if it has official files, with test images, which can be fetched and verified."""


def _official(channels: int, side: int, classes: int) -> KnownDataset:
    images = ImageShape(channels=channels, height=side, width=side, classes=classes)
    return KnownDataset(images, official=True)


DATASETS: Mapping[str, KnownDataset] = {
    "digits": KnownDataset(ImageShape(channels=1, height=8, width=8, classes=10)),
    "npz": KnownDataset(None),
    "cifar10": _official(3, 32, 10),
    "cifar100": _official(3, 32, 100),
    "svhn": _official(3, 32, 10),
    "fashion_mnist": _official(1, 28, 10),
    "kmnist": _official(1, 28, 10),
    "imagefolder": KnownDataset(None),
}
"""The datasets by their names in a search."""

OFFICIAL = tuple(name for name, dataset in DATASETS.items() if dataset.official)
"""The names of those with official files."""


def images_of(name: str) -> ImageShape | None:
    """Return the shape of a dataset's images; None if they are the user's own, or it is unknown."""
    dataset = DATASETS.get(name)
    return dataset.images if dataset else None


def _check(name: str) -> str:
    if name not in DATASETS:
        *others, last = (repr(dataset) for dataset in DATASETS)
        expected = f"{', '.join(others)} or {last}"
        raise PydanticCustomError(
            "literal_error", "Input should be {expected}", {"expected": expected}
        )
    return name


DatasetName = Annotated[
    str, AfterValidator(_check), WithJsonSchema({"enum": list(DATASETS), "type": "string"})
]
"""The name of one of :data:`DATASETS`."""
