"""Images that are read from their files batch by batch, as ImageNet must be.

Threads decode, cut and scale; the library does so without Python's lock. There are no worker
processes, which would need shared memory, of which a Pod has 64 MB. One batch is made ready while
the device works on the batch before.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.finalist import Scale
from blockqnn_trainer.datasets.arrays import check_images
from blockqnn_trainer.datasets.decoding import Depth, decode, read_file
from blockqnn_trainer.datasets.image_folder import ImageFolder
from blockqnn_trainer.datasets.sources import source_title
from blockqnn_trainer.datasets.split import channel_statistics, hold_out
from blockqnn_trainer.finalists.augmentation import normalise
from blockqnn_trainer.finalists.draws import Draws, draw_variations, generator_for
from blockqnn_trainer.finalists.feed_protocol import Batches, FeedSpec

STATISTICS_IMAGES = 1024
"""Number of training images that give mean and deviation. Where the means of single images deviate
by a tenth of the range of brightness, that of these is off by a thirtieth of that; with 224 pixels
they take 150 MB, and reading all of ImageNet would take as long as an epoch."""

_AHEAD = 2
"""Number of batches in flight: the one being used and the next."""

Pixels = NDArray[numpy.uint8]


class FileFeed:
    """The images of folders, with the random scale of the recipe."""

    def __init__(self, spec: FeedSpec, device: torch.device, threads: int) -> None:
        """List the files, and read the images for mean and deviation.

        Raises:
            DatasetMissing: when there are none.
            DatasetInvalid: when one cannot be read, or there are too few.
        """
        scale = spec.augmentation.scale
        assert scale is not None
        self._augmentation, self._scale = spec.augmentation, scale
        self._seed, self._device = spec.seed, device
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._training, self._test = _divide(spec.dataset, spec.split_seed)
        self.input_shape = (3, scale.crop, scale.crop)
        self.classes = 1 + max(int(part.labels.max()) for part in (self._training, self._test))
        self.training_images = len(self._training.labels)
        self.test_images = len(self._test.labels)
        self.mean, self.deviation = self._statistics(spec)
        self._mean, self._deviation = self.mean.to(device), self.deviation.to(device)

    def training_batches(self, epoch: int, batches: Sequence[Tensor]) -> Batches:
        """Give training images, varied and normalised."""
        draws = draw_variations(self.training_images, self._augmentation, self._seed, epoch)

        def read(batch: Tensor) -> list[Future[Pixels]]:
            of = draws.of(batch)
            return [
                self._pool.submit(self._vary, int(image), of, row)
                for row, image in enumerate(batch)
            ]

        for pixels, labels in self._read(batches, read, self._training.labels):
            yield normalise(pixels, self._mean, self._deviation), labels

    def test_batches(self, batches: Sequence[Tensor]) -> Batches:
        """Give test images as bytes."""

        def read(batch: Tensor) -> list[Future[Pixels]]:
            return [self._pool.submit(self._middle, self._test.files[image]) for image in batch]

        yield from self._read(batches, read, self._test.labels)

    def _read(
        self,
        batches: Sequence[Tensor],
        read: Callable[[Tensor], list[Future[Pixels]]],
        labels: Tensor,
    ) -> Batches:
        waiting: deque[tuple[list[Future[Pixels]], Tensor]] = deque()
        for batch in [*batches, *[None] * (_AHEAD - 1)]:
            if batch is not None:
                waiting.append((read(batch), batch))
            if waiting and (batch is None or len(waiting) == _AHEAD):
                futures, chosen = waiting.popleft()
                images = [future.result() for future in futures]
                empty = numpy.empty((0, *self.input_shape[1:], 3), numpy.uint8)
                pixels = numpy.stack(images) if images else empty
                yield torch.from_numpy(pixels).to(self._device), labels[chosen].to(self._device)

    def _vary(self, image: int, draws: Draws, row: int) -> Pixels:
        opened = read_file(self._training.files[image])
        side = self._scale.crop * min(opened.size) / float(draws.short_sides[row])
        down, along = (float(position) for position in draws.places[row])
        x, y = along * (opened.width - side), down * (opened.height - side)
        pixels = _cut(opened, x, y, side, self._scale)
        return pixels[:, ::-1] if draws.flips[row] else pixels

    def _middle(self, file: Path) -> Pixels:
        return self._middle_of(read_file(file))

    def _middle_of(self, opened: Image.Image) -> Pixels:
        side = self._scale.crop * min(opened.size) / self._scale.test_short_side
        x, y = (opened.width - side) / 2, (opened.height - side) / 2
        return _cut(opened, x, y, side, self._scale)

    def _statistics(self, spec: FeedSpec) -> tuple[Tensor, Tensor]:
        generator = generator_for(spec.split_seed, "statistics")
        order = torch.randperm(self.training_images, generator=generator)
        files = [self._training.files[image] for image in order[:STATISTICS_IMAGES]]
        depth = Depth(Path(spec.dataset.path))

        def read(file: Path) -> Pixels:
            decoded = decode(file)
            depth.add(decoded)
            return self._middle_of(decoded.image)

        pixels = numpy.stack(list(self._pool.map(read, files)))
        depth.check()
        check_images(source_title(spec.dataset), pixels, flat_allowed=True)
        mean, deviation = channel_statistics(pixels)
        return torch.from_numpy(mean), torch.from_numpy(deviation)


def _cut(image: Image.Image, x: float, y: float, side: float, scale: Scale) -> Pixels:
    """Cut a square and scale it, with a filter where it becomes smaller."""
    size = (scale.crop, scale.crop)
    # Rounding must not lead beyond the image, which the library refuses.
    box = (x, y, min(x + side, image.width), min(y + side, image.height))
    resized = image.resize(size, Image.Resampling.BILINEAR, box=box)
    return numpy.asarray(resized, dtype=numpy.uint8)


class _Part:
    """Some of the image files."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int]) -> None:
        self.files = files
        self.labels = torch.tensor(labels, dtype=torch.int64)

    def only(self, chosen: Tensor) -> "_Part":
        return _Part([self.files[image] for image in chosen], self.labels[chosen].tolist())


def _divide(dataset: DatasetSpec, seed: int) -> tuple[_Part, _Part]:
    root, validation = Path(dataset.path), dataset.validation
    folder = ImageFolder(root, "train", None)
    training = _Part(folder.files, folder.labels)
    if validation.source == "test":
        apart = ImageFolder(root, "test", None)
        return training, _Part(apart.files, apart.labels)
    remaining, held_out = hold_out(len(training.labels), validation.fraction, seed)
    return training.only(remaining), training.only(held_out)
