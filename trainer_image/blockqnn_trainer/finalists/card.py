"""The model card of a finalist: a description for people, in Markdown, beside its files."""

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

import torch

from blockqnn.block.nsc import Block
from blockqnn.block.svg_drawing import svg_drawing
from blockqnn.block.text_drawing import text_drawing
from blockqnn.contract.finalist import FinalistResult, FinalistSpec
from blockqnn_trainer.finalists.export import (
    INPUT,
    ONNX,
    OUTPUT,
    PROGRAM,
    WEIGHTS,
    ModelDescription,
)

CARD = "README.md"
DRAWING = "block.svg"
COMMIT_VARIABLE = "BLOCKQNN_COMMIT"
"""The environment variable with the commit that an image was built from."""

_CARD = """\
# {title}

A classifier of {size} images in {classes} classes, stacked from one block that BlockQNN found
(Zhong et al., CVPR 2018). {sentence}

| | |
|---|---|
{metrics}

## The block

`{block}`

```
{drawing}
```

![The block]({picture})

## The network and its training

| | |
|---|---|
{training}

## The data

{data}

## Using it

It takes images as bytes, {height} x {width} pixels and {channels} channel(s) each, and returns
one logit for each class. What normalises the images is part of the model.

```python
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{onnx}")
images = numpy.zeros((1, {height}, {width}, {channels}), numpy.uint8)
[logits] = session.run(["{output}"], {{"{input}": images}})
print(logits.argmax(1))
```

| file | what it is |
|---|---|
| `{onnx}` | for ONNX runtimes |
| `{program}` | `torch.export.load("{program}").module()` |
| `{weights}` | weights alone: `blockqnn_trainer.load_model(directory)` |
| `block.json` | the block, the network, checksums |
| `result.json` | what was measured, with the accuracy after each epoch |

`blockqnn-train load DIRECTORY` measures all of them again.

## Where it comes from

| | |
|---|---|
{origin}

## Limits

The accuracy is that of one training from one seed; another seed gives another one. It says nothing
about images of another kind than those that it was measured on.
"""


def model_card(
    spec: FinalistSpec,
    description: ModelDescription,
    result: FinalistResult,
    training_images: int,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Write the card of a finalist whose training is complete."""
    block = Block.parse(spec.block)
    name = spec.target or spec.dataset.name
    return _CARD.format(
        title=f"Block {description.block_hash} on {name}",
        size=f"{description.height}x{description.width}x{description.channels}",
        classes=description.classes,
        sentence=_sentence(result),
        metrics=_table(_metrics(result)),
        block=block,
        drawing=text_drawing(block),
        picture=DRAWING,
        training=_table(_training(spec, result)),
        data=_data(spec, description, training_images),
        height=description.height,
        width=description.width,
        channels=description.channels,
        onnx=ONNX,
        program=PROGRAM,
        weights=WEIGHTS,
        input=INPUT,
        output=OUTPUT,
        origin=_table(_origin(spec, environment)),
    )


def card_picture(spec: FinalistSpec) -> str:
    """Return the drawing that the card shows, as SVG."""
    return svg_drawing(Block.parse(spec.block))


def _sentence(result: FinalistResult) -> str:
    assert result.accuracy is not None
    images = "test images" if result.measured_on == "test" else "training images that were held out"
    return f"It classifies {result.accuracy:.2%} of the {images} correctly."


def _metrics(result: FinalistResult) -> Iterator[tuple[str, object]]:
    assert result.accuracy is not None
    yield "top-1 error", f"{1 - result.accuracy:.2%}"
    if result.top5_accuracy is not None:
        yield "top-5 error", f"{1 - result.top5_accuracy:.2%}"
    yield "parameters", f"{result.parameters:,}"
    yield "multiply-accumulates of one image", f"{result.macs:,}"


def _training(spec: FinalistSpec, result: FinalistResult) -> Iterator[tuple[str, object]]:
    network, training, optimizer = spec.network, spec.training, spec.training.optimizer
    yield "widths of the stages", _listed(network.filters)
    yield "blocks in each stage", network.repeats
    yield "stem", network.stem
    yield "recipe", spec.recipe
    yield "epochs", training.epochs
    yield "batch size", training.batch_size
    yield (
        "optimizer",
        f"{optimizer.name}, momentum {optimizer.momentum:g}, "
        f"weight decay {optimizer.weight_decay:g}",
    )
    milestones = _listed(training.schedule.milestones)
    times = f", times {training.schedule.factor:g} at epochs {milestones}" if milestones else ""
    yield "learning rate", f"{optimizer.learning_rate:g}{times}"
    yield "augmentation", _augmentation(spec)
    yield "precision", training.precision
    yield "seed", spec.seed
    yield "trained on", f"{result.device}, {result.processes} process(es)"
    yield "interrupted", f"{result.resumed} time(s)"


def _augmentation(spec: FinalistSpec) -> str:
    augmentation = spec.training.augmentation
    ways = []
    if augmentation.scale is not None:
        low, high = augmentation.scale.short_side
        ways.append(f"shorter side {low} to {high}, crop {augmentation.scale.crop}")
    if augmentation.padding:
        ways.append(f"shifted by up to {augmentation.padding} pixels")
    if augmentation.flip:
        ways.append("mirrored")
    return "; ".join(ways) or "none"


def _data(spec: FinalistSpec, description: ModelDescription, training_images: int) -> str:
    validation = spec.dataset.validation
    text = f"Trained on {training_images:,} images of `{spec.dataset.name}`, measured on "
    if validation.source == "test":
        return text + f"its {description.test_images:,} test images."
    return (
        text + f"{description.test_images:,} of its training images, which were held out by the "
        f"split seed {spec.split_seed}: the search may have chosen the block by them."
    )


def _origin(spec: FinalistSpec, environment: Mapping[str, str]) -> Iterator[tuple[str, object]]:
    try:
        ours = version("blockqnn")
    except PackageNotFoundError:
        ours = "unknown"
    yield "search", spec.search
    yield "trial", spec.trial
    yield "BlockQNN", ours
    yield "commit", environment.get(COMMIT_VARIABLE, "unknown")
    yield "torch", torch.__version__


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in numbers)


def _table(rows: Iterator[tuple[str, object]]) -> str:
    return "\n".join(f"| {name} | {value} |" for name, value in rows)
