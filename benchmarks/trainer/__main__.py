"""Measure, print a table, write the figures down."""

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.trainer.bandwidth import copy_rate, step_bytes
from benchmarks.trainer.corpus import FULL, REDUCED, make_images, make_trial, stratified_blocks
from benchmarks.trainer.fidelity import compare
from benchmarks.trainer.measure import Epoch, Whole, steady, steady_plainly, whole, whole_plainly
from benchmarks.trainer.plain import read_split
from benchmarks.trainer.report import Figures, table
from benchmarks.trainer.techniques import arms
from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.trial import TrialSpec
from blockqnn_trainer.datasets.split import load

BUILD = Path(__file__).resolve().parents[2] / "build" / "benchmarks"
BLOCKS = 32
REPEATS = 3


def main() -> None:
    """Run the benchmark."""
    options = _options()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    workers = options.workers or (8 if on_gpu else 2)
    network, batch_size = (FULL, 256) if on_gpu else (REDUCED, 64)
    dataset = make_images(BUILD / "trainer" / "digits-16x16.npz")
    if options.data:
        dataset = DatasetSpec.model_validate(
            {
                "name": "npz",
                "path": str(options.data),
                "validation": {"source": "train", "fraction": 0.1},
            }
        )
    trials = [
        make_trial(block, network, dataset, batch_size, seed=0)
        for block in stratified_blocks(options.blocks, network)
    ]
    figures = Figures(batch_size=batch_size, copy_rate=copy_rate(device))
    for number, trial in enumerate(trials):
        print(f"block {number + 1} of {len(trials)}: {trial.block}", file=sys.stderr, flush=True)
        _measure(trial, device, workers, options.repeats, options.processes, figures)
        # After each block, so that a run that is broken off has what it measured.
        _write(figures, trials, device)
    print(table(figures, on_gpu, workers))


def _options() -> argparse.Namespace:
    quick = os.environ.get("QUICK") == "1"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer", description=__doc__)
    parser.add_argument("--blocks", type=int, default=4 if quick else BLOCKS)
    parser.add_argument("--repeats", type=int, default=1 if quick else REPEATS)
    parser.add_argument(
        "--processes",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure whole trials as processes too, which most of the time goes into",
    )
    parser.add_argument("--workers", type=int, help="of the DataLoader; 2 on a CPU, 8 on a GPU")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of each arm on a CPU, besides the workers of a DataLoader; default 1, since more "
        "wait for one another at every kernel where anything else runs",
    )
    parser.add_argument("--data", type=Path, help="npz file; else digits doubled to 16x16 pixels")
    return parser.parse_args()


def _measure(
    trial: TrialSpec,
    device: torch.device,
    workers: int,
    repeats: int,
    processes: bool,
    figures: Figures,
) -> None:
    split, plain_split = load(trial.dataset, trial.split_seed, device), read_split(trial)
    figures.fidelity.append(compare(trial, split, plain_split))
    folder = BUILD / "trainer"
    programs: dict[str, list[Whole]] = {"plain loop": [], "this trainer": []}
    epochs: dict[str, list[Epoch]] = {}
    for repeat in range(repeats):
        seeded = trial.model_copy(update={"seed": repeat})
        if processes:
            programs["plain loop"].append(whole_plainly(seeded, folder, workers))
            programs["this trainer"].append(whole(seeded, folder))
        for name, tensor_float32 in plain_arms(device).items():
            # Torch's default allows it for convolutions only.
            torch.backends.cudnn.allow_tf32 = tensor_float32
            epochs.setdefault(name, []).append(steady_plainly(seeded, plain_split, workers, device))
        torch.backends.cudnn.allow_tf32 = False
        epochs.setdefault("plain loop, no workers", []).append(
            steady_plainly(seeded, plain_split, 0, device)
        )
        for name, without in arms(workers, device).items():
            epochs.setdefault(name, []).append(steady(seeded, split, without))
    if processes:
        figures.whole.append(programs)
    figures.steady.append(epochs)
    figures.moved.append(step_bytes(trial, split))
    figures.images.append(len(split.training))


def plain_arms(device: torch.device) -> dict[str, bool]:
    """The plain loops that use workers, and whether their convolutions may use TensorFloat32."""
    if device.type == "cuda":
        return {"plain loop": False, "plain loop, TensorFloat32": True}
    return {"plain loop": False}


def _write(figures: Figures, trials: list[TrialSpec], device: torch.device) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    command = " ".join(
        [*(["QUICK=1"] if os.environ.get("QUICK") == "1" else []), "python -m benchmarks.trainer"]
        + [shlex.quote(argument) for argument in sys.argv[1:]]
    )
    content: dict[str, Any] = {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(device),
        "blocks": [trial.block for trial in trials],
        "trial": trials[0].model_dump(mode="json", exclude={"dataset": {"path"}}),
        **figures.as_json(),
    }
    (BUILD / "trainer.json").write_text(json.dumps(content, indent=1) + "\n")


def machine(device: torch.device) -> dict[str, Any]:
    """Machine of the measurements."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
