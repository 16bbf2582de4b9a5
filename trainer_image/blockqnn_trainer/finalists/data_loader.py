"""The images of a finalist, batch by batch: on the device as bytes, or from files when needed.

Both give test images as bytes, the input of the model: normalisation is part of the model.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.finalist import Augmentation
from blockqnn_trainer.datasets.split import Split, load
from blockqnn_trainer.errors import DatasetInvalid
from blockqnn_trainer.finalists.augmentation import cut_middle, normalise, vary
from blockqnn_trainer.finalists.draws import draw_variations
from blockqnn_trainer.finalists.feed_protocol import Batches, Feed, FeedSpec


class ResidentFeed:
    """Images that stay on the device as bytes."""

    def __init__(self, split: Split, augmentation: Augmentation, seed: int) -> None:
        """Take a dataset that was read.

        Args:
            split: the images to train on and those to measure on.
            augmentation: the variation of training images, and the cut of test images.
            seed: decides the variation, together with the epoch.
        """
        self._split, self._augmentation, self._seed = split, augmentation, seed
        self._device = split.training.labels.device
        channels, height, width = split.input_shape
        if augmentation.scale is not None:
            height = width = augmentation.scale.crop
        self.input_shape = channels, height, width
        self.classes = split.classes
        self.training_images = len(split.training)
        self.test_images = len(split.validation)
        self.mean = split.training.mean.cpu()
        self.deviation = split.training.deviation.cpu()

    def training_batches(self, epoch: int, batches: Sequence[Tensor]) -> Batches:
        """Give training images, varied and normalised."""
        images = self._split.training
        drawn = draw_variations(len(images), self._augmentation, self._seed, epoch)
        draws = drawn.to(self._device)
        for batch in batches:
            chosen = batch.to(self._device)
            pixels, inside = vary(images.pixels, chosen, draws.of(chosen), self._augmentation)
            values = normalise(pixels, images.mean, images.deviation)
            yield values.mul_(inside.permute(0, 3, 1, 2)), images.labels[chosen]

    def test_batches(self, batches: Sequence[Tensor]) -> Batches:
        """Give test images as bytes."""
        images, scale = self._split.validation, self._augmentation.scale
        for batch in batches:
            chosen = batch.to(self._device)
            pixels = images.pixels[chosen]
            yield pixels if scale is None else cut_middle(pixels, scale), images.labels[chosen]


def open_feed(spec: FeedSpec, device: torch.device, threads: int) -> Feed:
    """Open the images of a finalist.

    Folders of images with a scale and without `imageSize` are read from their files again and
    again: they need not fit into any memory, and keep their shapes.

    Args:
        spec: the images.
        device: the device for the batches.
        threads: the number of files that are decoded at once.

    Raises:
        DatasetMissing: when the images are not where they should be.
        DatasetInvalid: when they cannot be used.
    """
    dataset, augmentation = spec.dataset, spec.augmentation
    if _reads_files(dataset, augmentation):
        # Imported here because of the library that decodes images.
        from blockqnn_trainer.finalists.files import FileFeed

        return FileFeed(spec, device, threads)
    split = load(dataset, spec.split_seed, device)
    smallest = min(split.input_shape[1:])
    if augmentation.padding >= smallest:
        raise DatasetInvalid(
            f"training.augmentation.padding is {augmentation.padding}, but the images of "
            f"{dataset.name} have only {smallest} pixels on their shorter side; lower it."
        )
    return ResidentFeed(split, augmentation, spec.seed)


def _reads_files(dataset: DatasetSpec, augmentation: Augmentation) -> bool:
    return (
        dataset.name == "imagefolder"
        and dataset.image_size is None
        and augmentation.scale is not None
    )
