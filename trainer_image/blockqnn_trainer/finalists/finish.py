"""The output of a finalist: its model in all forms, its card, its result.

``result.json`` is written last: if it exists, everything does, and the training is not repeated.
"""

import json
from pathlib import Path

import torch
from pydantic import ValidationError

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistResult, FinalistSpec
from blockqnn.contract.message import Accuracy, Outcome
from blockqnn.model import Model
from blockqnn_trainer.finalists.card import CARD, DRAWING, card_picture, model_card
from blockqnn_trainer.finalists.checkpoint import fingerprint
from blockqnn_trainer.finalists.evaluation import Accuracies
from blockqnn_trainer.finalists.export import (
    WEIGHTS,
    DeployedModel,
    ModelDescription,
    write_description,
    write_forms,
)
from blockqnn_trainer.finalists.feed_protocol import Feed
from blockqnn_trainer.finalists.network import build_finalist
from blockqnn_trainer.finalists.progress import FinalistProgress
from blockqnn_trainer.finalists.verify import check_forms
from blockqnn_trainer.finalists.volume import volume_errors_named, write_whole
from blockqnn_trainer.network.network import Network

RESULT = "result.json"

_COMPARED = 256
"""Number of test images on which the forms of a model are compared right after it is written."""


class Finished(Model):
    """The content of ``result.json``."""

    version: int = 1
    fingerprint: str
    """Fingerprint of the training: :func:`blockqnn_trainer.finalists.checkpoint.fingerprint`."""
    result: FinalistResult
    curve: tuple[Accuracy, ...]
    """The accuracy after each epoch, none left out."""


def read_finished(folder: Path, spec: FinalistSpec) -> FinalistResult | None:
    """Read the result of an earlier attempt at the same training; None where there is none."""
    try:
        text = (folder / RESULT).read_text(encoding="utf-8")
        finished = Finished.model_validate_json(text)
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    if finished.fingerprint != fingerprint(spec):
        return None
    updates = {"trial": spec.trial, "attempt": spec.attempt, "target": spec.target}
    return finished.result.model_copy(update=updates)


def finish(
    spec: FinalistSpec,
    network: Network,
    feed: Feed,
    measured: Accuracies,
    folder: Path,
    progress: FinalistProgress,
) -> FinalistResult:
    """Write the output of a complete training.

    Args:
        spec: the finalist.
        network: trained, on any device.
        feed: the images.
        measured: the accuracy in float32.
        folder: the finalist's directory.
        progress: the state of the training.

    Raises:
        ModelInvalid: when a form of the model computes other logits than the network.
        VolumeUnusable: when the volume has no room or cannot be written to.
    """
    with progress.timed("export"):
        description = _write_model(spec, network, feed, measured, folder)
    result = progress.result(
        Outcome.SUCCEEDED,
        "Completed",
        accuracy=measured.top1,
        top5_accuracy=measured.top5,
        weights=description.files[WEIGHTS],
    )
    card = model_card(spec, description, result, feed.training_images)
    finished = Finished(fingerprint=fingerprint(spec), result=result, curve=progress.curve)
    with volume_errors_named(folder):
        write_whole(folder / DRAWING, card_picture(spec).encode())
        write_whole(folder / CARD, card.encode())
        text = json.dumps(finished.model_dump(mode="json", exclude_none=True), indent=1)
        write_whole(folder / RESULT, (text + "\n").encode())
    return result


def _write_model(
    spec: FinalistSpec, network: Network, feed: Feed, measured: Accuracies, folder: Path
) -> ModelDescription:
    block = Block.parse(spec.block)
    # Built anew: what trained it may have layers that several processes share.
    fresh = build_finalist(block, spec.network, feed.input_shape, feed.classes, seed=0)
    fresh.load_state_dict(network.state_dict())
    model = DeployedModel(fresh, feed.mean, feed.deviation).eval()
    # An exporter takes a batch of one for a size that never changes.
    chosen = torch.arange(max(2, min(_COMPARED, feed.test_images))) % feed.test_images
    [(pixels, _)] = feed.test_batches([chosen])
    images = pixels.cpu()
    files = write_forms(model, images[:2], folder)
    channels, height, width = feed.input_shape
    description = ModelDescription(
        block=str(block),
        block_hash=canonical_hash(block),
        network=spec.network,
        channels=channels,
        height=height,
        width=width,
        classes=feed.classes,
        mean=tuple(feed.mean.tolist()),
        deviation=tuple(feed.deviation.tolist()),
        dataset=spec.dataset,
        split_seed=spec.split_seed,
        augmentation=spec.training.augmentation,
        test_images=feed.test_images,
        accuracy=measured.top1,
        top5_accuracy=measured.top5,
        files=files,
    )
    write_description(description, folder)
    check_forms(folder, model, images, description)
    return description
