"""Checkpoints, from which a training goes on where it was; each is complete or absent.

A checkpoint is one file, `checkpoints/EPOCH-STEP.checkpoint`: a line that names the format, a line
with the SHA-256 of all that follows, then a safetensors file whose metadata hold the rest as JSON.
Reading one runs no code that it contains.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from blockqnn.contract.finalist import FinalistSpec
from blockqnn.contract.message import Accuracy
from blockqnn.model import Model
from blockqnn_trainer.errors import FolderTaken
from blockqnn_trainer.finalists.volume import volume_errors_named, write_whole
from blockqnn_trainer.process.volume import UNFINISHED

FOLDER = "checkpoints"
_SUFFIX = ".checkpoint"
_FORMAT = b"BlockQNN checkpoint 1"


class State(Model):
    """State of a training."""

    version: Literal[1] = 1
    fingerprint: str
    """Fingerprint of the training: :func:`fingerprint`."""
    epoch: Annotated[int, Field(ge=0)]
    """Epochs that are complete, their evaluation included."""
    step: Annotated[int, Field(ge=0)]
    """Steps of the next epoch that are done."""
    curve: tuple[Accuracy, ...]
    """The accuracy after each complete epoch."""
    resumed: Annotated[int, Field(ge=0)]
    """Number of times the training had gone on from a checkpoint."""
    damaged: Annotated[int, Field(ge=0)] = 0
    """Number of damaged checkpoints so far."""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Lifetime of the processes so far, in seconds."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state and the tensors that belong to it."""

    state: State
    tensors: Mapping[str, Tensor]


def fingerprint(spec: FinalistSpec) -> str:
    """Hash the settings that decide a result; equal for attempts that may continue one another.

    Not part of it: the search, the attempt, the directory, and the number of processes.
    """
    settings = spec.model_dump(
        mode="json",
        include={"block", "seed", "split_seed", "network", "training"},
    )
    dataset = spec.dataset.model_dump(mode="json", exclude={"path"})
    text = json.dumps({**settings, "dataset": dataset}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class CheckpointStore:
    """The checkpoints of one finalist."""

    def __init__(self, folder: Path, keep: int, warn: Callable[[str], None]) -> None:
        """Look into a directory.

        Args:
            folder: the finalist's directory.
            keep: the number of checkpoints to keep.
            warn: called with a sentence about each checkpoint that cannot be used.
        """
        self._folder = folder / FOLDER
        self._keep = keep
        self._warn = warn
        self.damaged: list[Path] = []
        """Checkpoints that could not be read; they are deleted when the next one is written."""

    def newest(self, trained: str) -> Checkpoint | None:
        """Read the newest checkpoint that is complete; None if there is none.

        Args:
            trained: the fingerprint of the training.

        Raises:
            FolderTaken: when it belongs to another training.
        """
        for path in reversed(self._files()):
            checkpoint = self._read(path)
            if checkpoint is None:
                continue
            if checkpoint.state.fingerprint != trained:
                raise FolderTaken(
                    f"{path} is of another training: another block, seed, network, dataset or "
                    "recipe. Give this finalist another folder, or delete that one."
                )
            return checkpoint
        return None

    def write(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then delete those that are older than the newest few.

        Raises:
            VolumeUnusable: when the volume has no room or cannot be written to; the checkpoints
                that were there stay.
        """
        state = checkpoint.state
        path = self._folder / f"{state.epoch:05d}-{state.step:07d}{_SUFFIX}"
        # The format knows one order in memory only, that of the dimensions.
        tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
        payload = save(tensors, metadata={"state": state.model_dump_json()})
        digest = hashlib.sha256(payload).hexdigest().encode()
        with volume_errors_named(self._folder):
            self._folder.mkdir(exist_ok=True)
            self._delete_unfinished()
            write_whole(path, b"\n".join([_FORMAT, digest, payload]))
            for useless in set(self.damaged) - {path}:
                useless.unlink(missing_ok=True)
            for old in self._files()[: -self._keep]:
                old.unlink(missing_ok=True)
        return path

    def clear(self) -> None:
        """Delete all checkpoints."""
        with volume_errors_named(self._folder):
            self._delete_unfinished()
            for path in self._files():
                path.unlink(missing_ok=True)
            if self._folder.is_dir() and not any(self._folder.iterdir()):
                self._folder.rmdir()

    def _delete_unfinished(self) -> None:
        """Delete the unfinished files of a process that was killed."""
        for path in self._folder.glob(f"*{UNFINISHED}"):
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _read(self, path: Path) -> Checkpoint | None:
        try:
            kind, digest, payload = path.read_bytes().split(b"\n", 2)
            if kind != _FORMAT:
                raise ValueError("it is not a checkpoint of this version")
            if hashlib.sha256(payload).hexdigest().encode() != digest:
                raise ValueError("its checksum does not match")
            state = State.model_validate_json(_metadata(payload)["state"])
            return Checkpoint(state, load(payload))
        except (OSError, ValueError, KeyError, ValidationError, SafetensorError) as error:
            reason = str(error).partition("\n")[0]
            self._warn(f"The checkpoint {path} is damaged and ignored: {reason}.")
            self.damaged.append(path)
            return None


def _metadata(payload: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file in memory; the library reads disks only."""
    length = int.from_bytes(payload[:8], "little")
    header: dict[str, dict[str, str]] = json.loads(payload[8 : 8 + length])
    return header["__metadata__"]
