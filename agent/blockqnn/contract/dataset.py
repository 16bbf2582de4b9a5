"""The images that a Job trains on, in the names of the BlockSearch resource."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from blockqnn.model import Model
from blockqnn.network.datasets import DatasetName, images_of
from blockqnn.network.spec import ImageShape


class Validation(Model):
    """Images that the reward is measured on."""

    source: Literal["train", "test"]
    """Source of the images: `train` holds out a share of the training images; `test` takes the test
    images and trains on all others. `test` is the literal reading of the papers, but it leaves no
    image that the search has not seen."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    """Share of the training images that `source: train` holds out, drawn by a seed that all trials
    share.

    The papers print 5:1 for training to test set and call the reward validation accuracy;
    MetaQNN holds out 0.1 of CIFAR's 50,000.
    """


class DatasetSpec(Model):
    """The images that a trial trains on."""

    name: DatasetName
    """`digits` (8x8 grey, ships with scikit-learn), `npz` (your own arrays), `imagefolder` (image
    files, a folder for each class), or the official files of the others."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Directory or file of the images inside the trial's container; `digits` needs none.

    For `npz`: one file, or a directory whose `*.npz` files other than `test.npz` are read in the
    order of their names; each has `x` (uint8, N x height x width x channels) and `y` (N labels).

    For `imagefolder`: a directory with the class folders, or with the folders `train`, and `test`
    (or `val`, or `validation`), that hold them.
    """

    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Side of the square that images of `imagefolder` are scaled and cropped to, in pixels: the
    shorter side is resized to it, the middle is kept. If omitted, all images must have the same
    size."""

    shape: ImageShape | None = None
    """Shape and classes of the images of `npz` or `imagefolder`. Needed for `space.constraints`,
    because the cost of a network must be known before an image is read. The trainer rejects images
    that differ."""

    validation: Validation

    @property
    def images(self) -> ImageShape | None:
        """Shape and classes of the images; None if unknown before the images are read."""
        return self.shape or images_of(self.name)

    def model_post_init(self, _context: object, /) -> None:
        """Reject a size or a shape that would be ignored."""
        if self.shape is not None and images_of(self.name) is not None:
            raise ValueError("shape is for npz and imagefolder; other datasets have theirs")
        if self.image_size is not None and self.name != "imagefolder":
            raise ValueError("imageSize is for imagefolder; images of other datasets keep theirs")
