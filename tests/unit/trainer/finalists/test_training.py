"""Training to convergence: the same bits however often it is stopped; checkpoints that break."""

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from finalist_specs import finalist_spec

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistSpec, FinalistTraining
from blockqnn_trainer.errors import FolderTaken, NotFinite, VolumeMissing, VolumeUnusable
from blockqnn_trainer.finalists import volume
from blockqnn_trainer.finalists.checkpoint import Checkpoint, CheckpointStore, State, fingerprint
from blockqnn_trainer.finalists.data_loader import open_feed
from blockqnn_trainer.finalists.feed_protocol import FeedSpec
from blockqnn_trainer.finalists.group import Group
from blockqnn_trainer.finalists.network import build_finalist
from blockqnn_trainer.finalists.training import Momentum, Training, learning_rate
from blockqnn_trainer.process.job_process import Stopped

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve classes of 5x5 images with four channels, a test part among them."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = numpy.random.default_rng(0)
    for name, count in (("train", 96), ("test", 30)):
        labels = numpy.arange(count) % 12
        pixels = random.integers(0, 256, (count, 5, 5, 4))
        pixels[numpy.arange(count), labels // 4 + 1, labels % 4 + 1] = 255
        numpy.savez(folder / f"{name}.npz", x=pixels.astype(numpy.uint8), y=labels)
    return folder


def spec_for(images: Path, **changes: Any) -> FinalistSpec:
    dataset = {
        "name": "npz",
        "path": str(images),
        "validation": {"source": "test", "fraction": 0.5},
    }
    return finalist_spec(images, **{"dataset": dataset, "training__batchSize": 20} | changes)


def training_of(spec: FinalistSpec) -> Training:
    variation = spec.training.augmentation
    feed = open_feed(FeedSpec(spec.dataset, variation, spec.seed, spec.split_seed), CPU, 1)
    network = build_finalist(
        Block.parse(spec.block), spec.network, feed.input_shape, feed.classes, spec.seed
    )
    return Training(spec.training, spec.seed, fingerprint(spec), network, feed, Group(0, 1, CPU))


class Watching:
    """Keeps checkpoints in the memory, and stops after a number of questions."""

    def __init__(self, stop_after: float = math.inf) -> None:
        self.kept: list[Checkpoint] = []
        self.losses: list[float] = []
        self._left = stop_after

    @contextmanager
    def timed(self, _stage: str) -> Iterator[None]:
        yield

    def epoch_ended(self, _state: State, loss: float) -> None:
        self.losses.append(loss)

    def keep(self, checkpoint: Checkpoint) -> None:
        tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
        self.kept.append(Checkpoint(checkpoint.state, tensors))

    def stopping(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_a_training_that_is_stopped_anywhere_ends_as_an_undisturbed_one(images: Path) -> None:
    spec = spec_for(images)
    undisturbed = Watching()
    training_of(spec).run(1, undisturbed)
    expected = undisturbed.kept[-1]
    # 5 steps and 2 batches of the evaluation in each of 3 epochs.
    for questions in (0, 1, 6, 9, 20):
        first, second = Watching(questions), Watching()
        with pytest.raises(Stopped):
            training_of(spec).run(1, first)
        training = training_of(spec)
        training.resume(first.kept[-1])
        training.run(1, second)
        checkpoint = second.kept[-1]
        assert checkpoint.state.curve == expected.state.curve
        assert checkpoint.state.resumed == 1
        assert checkpoint.tensors.keys() == expected.tensors.keys()
        for name, tensor in expected.tensors.items():
            assert tensor.equal(checkpoint.tensors[name]), (questions, name)
        assert [*first.losses, *second.losses] == undisturbed.losses


def test_a_training_learns_and_another_seed_learns_otherwise(images: Path) -> None:
    first, second = Watching(), Watching()
    training_of(spec_for(images, training__epochs=6)).run(10, first)
    training_of(spec_for(images, training__epochs=6, seed=2)).run(10, second)
    assert first.losses[-1] < first.losses[0]
    assert first.losses != second.losses
    assert len(first.kept) == 1, "the last epoch leaves a checkpoint in any case"


def test_the_learning_rate_falls_at_the_milestones() -> None:
    training = FinalistTraining.model_validate(
        finalist_spec(Path("/"), training={"epochs": 300}).training.model_dump()
    )
    rates = [learning_rate(training, epoch) for epoch in (0, 149, 150, 224, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_sgd_is_that_of_the_textbook() -> None:
    spec = finalist_spec(Path("/")).training.optimizer
    layer = torch.nn.Linear(3, 2, bias=False)
    weights, velocity = layer.weight.detach().clone(), torch.zeros(2, 3)
    momentum = Momentum(layer, spec)
    for _ in range(5):
        values = torch.randn(4, 3)
        layer(values).square().sum().backward()
        gradient = 2 * (values @ weights.T).T @ values
        velocity = 0.9 * velocity + gradient + 5e-4 * weights
        weights = weights - 0.01 * velocity
        momentum.step(0.01)
    torch.testing.assert_close(layer.weight.detach(), weights)


def test_a_loss_that_is_not_finite_is_the_blocks_fault(images: Path) -> None:
    stopped = Watching(0)
    with pytest.raises(Stopped):
        training_of(spec_for(images)).run(1, stopped)
    [checkpoint] = stopped.kept
    checkpoint.tensors["network.classifier.bias"].fill_(math.nan)
    training = training_of(spec_for(images))
    training.resume(checkpoint)
    with pytest.raises(NotFinite, match=r"The loss is not finite in epoch 1 of 3, at the learning"):
        training.run(1, Watching())


def small_checkpoint(epoch: int, trained: str = "mine") -> Checkpoint:
    state = State(fingerprint=trained, epoch=epoch, step=3, curve=(0.5,) * epoch, resumed=0)
    return Checkpoint(state, {"weights": torch.full((2, 3), float(epoch))})


def store_in(folder: Path, keep: int = 2) -> tuple[CheckpointStore, list[str]]:
    warnings: list[str] = []
    return CheckpointStore(folder, keep, warnings.append), warnings


def test_the_newest_checkpoints_are_kept_and_read(tmp_path: Path) -> None:
    store, warnings = store_in(tmp_path)
    assert store.newest("mine") is None
    for epoch in (1, 2, 3):
        store.write(small_checkpoint(epoch))
    checkpoint = store.newest("mine")
    assert checkpoint is not None
    assert checkpoint.state == small_checkpoint(3).state
    assert checkpoint.tensors["weights"].equal(small_checkpoint(3).tensors["weights"])
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["00002-0000003.checkpoint", "00003-0000003.checkpoint"]
    store.clear()
    assert list(tmp_path.iterdir()) == []
    assert warnings == []


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "text", "metadata"])
def test_behind_a_damaged_checkpoint_stands_the_one_before(tmp_path: Path, harm: str) -> None:
    store, warnings = store_in(tmp_path)
    store.write(small_checkpoint(1))
    newest = store.write(small_checkpoint(2))
    content = bytearray(newest.read_bytes())
    if harm == "cut":
        content = content[: len(content) // 2]
    elif harm == "flip":
        content[-1] ^= 1
    elif harm == "empty":
        content.clear()
    elif harm == "text":
        content[:] = b"BlockQNN checkpoint 1\nno digest\nno payload"
    else:
        content[:] = b"BlockQNN checkpoint 9\n" + content.partition(b"\n")[2]
    newest.write_bytes(content)
    checkpoint = store.newest("mine")
    assert checkpoint is not None
    assert checkpoint.state.epoch == 1
    assert len(warnings) == 1
    assert warnings[0].startswith(f"The checkpoint {newest} is damaged and ignored: ")
    assert "\n" not in warnings[0]
    assert store.damaged == [newest]


def test_a_damaged_checkpoint_goes_when_another_is_written(tmp_path: Path) -> None:
    store, _ = store_in(tmp_path)
    for epoch in (1, 2):
        store.write(small_checkpoint(epoch)).write_bytes(b"damaged")
    again, warnings = store_in(tmp_path)
    assert again.newest("mine") is None
    assert len(warnings) == len(again.damaged) == 2
    again.write(small_checkpoint(1))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [
        "00001-0000003.checkpoint"
    ]
    third, warnings = store_in(tmp_path)
    assert third.newest("mine") is not None
    assert warnings == []


def test_the_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    store, _ = store_in(tmp_path)
    store.write(small_checkpoint(1, trained="other"))
    with pytest.raises(FolderTaken, match=r"is of another training: .* Give this finalist another"):
        store.newest("mine")


def test_a_training_is_named_by_what_decides_its_result(tmp_path: Path) -> None:
    name = fingerprint(finalist_spec(tmp_path))
    same = finalist_spec(tmp_path, attempt=4, folder="elsewhere", processes=2, trial=9)
    assert fingerprint(same) == name
    for change in ({"seed": 2}, {"training__epochs": 4}, {"block": "(1,1,3,0,0)(2,7,0,0,0)"}):
        assert fingerprint(finalist_spec(tmp_path, **change)) != name


def test_a_full_volume_leaves_the_earlier_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = store_in(tmp_path)
    store.write(small_checkpoint(1))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(volume.os, "fsync", full)
        with pytest.raises(VolumeUnusable, match="is full; enlarge it"):
            store.write(small_checkpoint(2))
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [
        "00001-0000003.checkpoint"
    ]


def test_the_volume_must_be_there_and_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VolumeMissing, match="where the volume of the finalists should be mounted"):
        volume.open_folder(finalist_spec(tmp_path / "nowhere"))
    assert volume.open_folder(finalist_spec(tmp_path)) == tmp_path / "digits" / "shortcut"

    def refuse(number: int) -> Any:
        def write(_path: Path, _content: bytes) -> None:
            raise OSError(number, "refused")

        return write

    monkeypatch.setattr(volume, "write_whole", refuse(errno.EROFS))
    with pytest.raises(VolumeUnusable, match="is mounted read-only; mount it writable"):
        volume.open_folder(finalist_spec(tmp_path))
    monkeypatch.setattr(volume, "write_whole", refuse(errno.EACCES))
    with pytest.raises(VolumeUnusable, match=r"may not write to .* securityContext.fsGroup"):
        volume.open_folder(finalist_spec(tmp_path))


def test_what_a_killed_process_left_half_written_is_deleted(tmp_path: Path) -> None:
    store, _ = store_in(tmp_path)
    store.write(small_checkpoint(1))
    half = tmp_path / "checkpoints" / "00002-0000000.checkpoint.unfinished"
    half.write_bytes(b"half")
    assert store.newest("mine") is not None
    store.write(small_checkpoint(2))
    assert not half.exists()
    half.write_bytes(b"half")
    store.clear()
    assert not half.parent.exists()
