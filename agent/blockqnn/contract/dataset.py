"""The images that a Job trains on, in the names of the BlockSearch resource."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from blockqnn.model import Model
from blockqnn.network.spec import KNOWN_IMAGES, ImageShape


class Validation(Model):
    """Which images the reward is measured on."""

    source: Literal["train", "test"]
    """Where they come from: `train` holds some of the training images out; `test` takes the test
    images and trains on all others, which is the literal reading of the papers, but leaves no image
    that the search has not seen."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    """The share of the training images that is held out with `source: train`, by a seed that all
    trials share.

    The papers print 5:1 for training to test set and call the reward validation accuracy;
    0.1 of CIFAR's 50,000 is what MetaQNN holds out.
    """


class DatasetSpec(Model):
    """The images that a trial trains on."""

    name: Literal["digits", "npz", "cifar10", "cifar100", "svhn", "fashion_mnist", "imagefolder"]
    """`digits` (8x8 grey, ships with scikit-learn), `npz` (arrays of one's own), `imagefolder`
    (image files, a folder for each class), or the official files of the others."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Where the files are inside the trial's container; `digits` needs none.

    For `npz`: one file, or a directory whose `*.npz` files other than `test.npz` are read in the
    order of their names; each has `x` (uint8, N x height x width x channels) and `y` (N labels).

    For `imagefolder`: a directory with the class folders, or with the folders `train`, and `test`
    or `val`, that hold them.
    """

    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """The side of the square that images of `imagefolder` are brought to, in pixels: the shorter
    side is resized to it, the middle is kept. Left out, all images must have one size."""

    shape: ImageShape | None = None
    """What the images of `npz` or `imagefolder` are. Needed for `space.constraints`, which must
    know what a network costs before an image is read; the trainer refuses images that differ."""

    validation: Validation

    @property
    def images(self) -> ImageShape | None:
        """What the images are, where that is known before they are read."""
        return self.shape or KNOWN_IMAGES.get(self.name)

    def model_post_init(self, _context: object, /) -> None:
        """Refuse a size or a shape where it would be ignored."""
        if self.shape is not None and self.name in KNOWN_IMAGES:
            raise ValueError("shape is for npz and imagefolder; other datasets have theirs")
        if self.image_size is not None and self.name != "imagefolder":
            raise ValueError("imageSize is for imagefolder; images of other datasets keep theirs")
