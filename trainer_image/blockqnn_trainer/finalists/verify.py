"""New measurement of a finalist's exported model in each form: ``blockqnn-train load``."""

from pathlib import Path

import torch
from torch import Tensor

from blockqnn_trainer.datasets.arrays import size_text
from blockqnn_trainer.errors import ModelInvalid
from blockqnn_trainer.finalists.data_loader import open_feed
from blockqnn_trainer.finalists.evaluation import Accuracies, Count
from blockqnn_trainer.finalists.export import DeployedModel, ModelDescription
from blockqnn_trainer.finalists.feed_protocol import Feed, FeedSpec
from blockqnn_trainer.finalists.load import FORMS, Classifier, open_form, read_description
from blockqnn_trainer.training.precision import require_exact_float32

TOLERANCE = 0.001
"""Maximum difference of an accuracy from the reported one. Another order of additions moves a
logit by some millionths, which matters only for images between two classes: one in thousands."""

_BATCH = 256


def verify(folder: Path, dataset_path: str | None, threads: int) -> list[str]:
    """Measure each form of a model on the dataset of its reported accuracy.

    Args:
        folder: the finalist's directory.
        dataset_path: the present directory of the images; None if it is unchanged.
        threads: the number of files that are decoded at once.

    Returns:
        A line for each form.

    Raises:
        ModelInvalid: when a form is damaged, or its accuracy differs.
        DatasetMissing: when the images are not there.
        DatasetInvalid: when they cannot be used, or differ from those of the report.
    """
    description = read_description(folder)
    feed = _open_feed(description, dataset_path, threads)
    lines = [f"reported: accuracy {_text(description.accuracy, description.top5_accuracy)}"]
    differing: list[str] = []
    for form in FORMS:
        measured = measure(open_form(folder, form, description), feed)
        lines.append(f"{form}: accuracy {_text(*measured)}")
        if abs(measured.top1 - description.accuracy) > TOLERANCE:
            differing.append(f"{form} {measured.top1:.4f}")
    if differing:
        raise ModelInvalid(
            f"The model in {folder} was reported with the accuracy {description.accuracy:.4f} on "
            f"{description.dataset.name}, but the measurement gives {', '.join(differing)}: the "
            "files or the images differ from those of the report."
        )
    return lines


def measure(classifier: Classifier, feed: Feed) -> Accuracies:
    """Measure a model on all test images, on the CPU."""
    require_exact_float32()
    count = Count(feed.classes, torch.device("cpu"))
    batches = torch.split(torch.arange(feed.test_images), _BATCH)
    with torch.inference_mode():
        for pixels, labels in feed.test_batches(batches):
            count.add(classifier(pixels), labels)
    return count.result(feed.test_images)


def check_forms(
    folder: Path, model: DeployedModel, images: Tensor, description: ModelDescription
) -> None:
    """Compare the forms of a model that was just written with the model itself.

    Raises:
        ModelInvalid: when the logits of a form differ by more than rounding.
    """
    with torch.inference_mode():
        expected = model(images)
    for form in FORMS:
        with torch.inference_mode():
            logits = open_form(folder, form, description)(images)
        # Relative to the spread of the logits, which is what decides between classes.
        if not torch.allclose(logits, expected, rtol=1e-3, atol=1e-3 * float(expected.std())):
            worst = float((logits - expected).abs().max())
            raise ModelInvalid(
                f"{folder / form} does not compute what was trained: a logit differs by {worst:g}."
            )


def _open_feed(description: ModelDescription, dataset_path: str | None, threads: int) -> Feed:
    dataset = description.dataset
    if dataset_path is not None:
        dataset = dataset.model_copy(update={"path": dataset_path})
    images = FeedSpec(dataset, description.augmentation, 0, description.split_seed)
    feed = open_feed(images, torch.device("cpu"), threads)
    expected = (description.channels, description.height, description.width)
    if feed.input_shape != expected or feed.test_images != description.test_images:
        raise ModelInvalid(
            f"The model was measured on {description.test_images} images of "
            f"{size_text(expected)} (channels, height, width), but {dataset.name} at "
            f"{dataset.path} has {feed.test_images} of {size_text(feed.input_shape)}."
        )
    return feed


def _text(top1: float, top5: float | None) -> str:
    return f"{top1:.4f}" + (f", top-5 {top5:.4f}" if top5 is not None else "")
