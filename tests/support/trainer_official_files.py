"""Small files in the official layouts, and a program that prepares them with torchvision.

A process of its own runs it: torchvision imports torch's compiler, which other tests check not to
meet. What torchvision knows of the files, their places and checksums, is replaced by what is made
here; its code, and the trainer's, is as it is.
"""

import gzip
import hashlib
import json
import os
import pickle
import sys
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy
import scipy.io
from torchvision.datasets import CIFAR10, KMNIST, SVHN, FashionMNIST

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.preparation import PreparationResult
from blockqnn_trainer.datasets.sources import open_source
from blockqnn_trainer.run.prepare_process import run_prepare

random = numpy.random.default_rng(0)
PIXELS = {
    "cifar10": random.integers(0, 256, (5, 32, 32, 3), dtype=numpy.uint8),
    "svhn": random.integers(0, 256, (5, 32, 32, 3), dtype=numpy.uint8),
    "fashion_mnist": random.integers(0, 256, (5, 28, 28, 1), dtype=numpy.uint8),
    "kmnist": random.integers(0, 256, (5, 28, 28, 1), dtype=numpy.uint8),
}
MNIST_KINDS: dict[str, Any] = {"fashion_mnist": FashionMNIST, "kmnist": KMNIST}

LABELS = [3, 1, 0, 9, 9]
"""Of the images: 3 to train on, 2 to test on."""


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


ROOT = Path(sys.argv[1])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        pass


SERVER = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(ROOT)))


def url(path: Path) -> str:
    return f"http://127.0.0.1:{SERVER.server_port}/{path.relative_to(ROOT)}"


def make_cifar10(origin: Path) -> None:
    folder = origin / CIFAR10.base_folder
    folder.mkdir(parents=True)

    def write(name: str, content: Any) -> tuple[str, str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return name, md5(folder / name)

    def batch(chosen: slice) -> dict[str, Any]:
        planes = PIXELS["cifar10"][chosen].transpose(0, 3, 1, 2).reshape(-1, 3072)
        return {"data": planes, "labels": LABELS[chosen]}

    CIFAR10.train_list = [write("data_batch_1", batch(slice(3)))]
    CIFAR10.test_list = [write("test_batch", batch(slice(3, 5)))]
    name, checksum = write("batches.meta", {"label_names": ["plane"]})
    CIFAR10.meta = {"filename": name, "key": "label_names", "md5": checksum}
    with tarfile.open(origin / CIFAR10.filename, "w:gz") as archive:
        archive.add(folder, CIFAR10.base_folder)
    CIFAR10.tgz_md5 = md5(origin / CIFAR10.filename)
    CIFAR10.url = url(origin / CIFAR10.filename)


def make_svhn(origin: Path) -> None:
    for part, chosen in (("train", slice(3)), ("test", slice(3, 5))):
        path = origin / f"{part}_32x32.mat"
        # Height, width, channels, images; the digit 0 has the label 10.
        pixels = PIXELS["svhn"][chosen].transpose(1, 2, 3, 0)
        labels = numpy.array([[label or 10] for label in LABELS[chosen]], dtype=numpy.uint8)
        scipy.io.savemat(path, {"X": pixels, "y": labels})
        SVHN.split_list[part] = [url(path), path.name, md5(path)]


def make_mnist(name: str, origin: Path) -> None:
    resources = []
    for part, chosen in (("train", slice(3)), ("t10k", slice(3, 5))):
        images = PIXELS[name][chosen, :, :, 0]
        labels = numpy.array(LABELS[chosen], dtype=numpy.uint8)
        for content, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = origin / f"{part}-{content}-ubyte.gz"
            header = bytes([0, 0, 8, array.ndim]) + b"".join(
                length.to_bytes(4, "big") for length in array.shape
            )
            path.write_bytes(gzip.compress(header + array.tobytes()))
            resources.append((path.name, md5(path)))
    MNIST_KINDS[name].resources = resources
    MNIST_KINDS[name].mirrors = [url(origin) + "/"]


def dataset(name: str, path: Path) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {"name": name, "path": str(path), "validation": {"source": "train", "fraction": 0.5}}
    )


def prepared(name: str, path: Path, message: Path) -> list[Any]:
    status = run_prepare(dataset(name, path), {"TERMINATION_MESSAGE_PATH": str(message)})
    result = PreparationResult.read(message.read_text())
    return [status, result.reason, result.message]


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def main(root: Path) -> None:
    os.environ["no_proxy"] = "127.0.0.1"
    Thread(target=SERVER.serve_forever, daemon=True).start()
    message = root / "message"
    descriptions: dict[str, Any] = {}
    makers = {
        "cifar10": make_cifar10,
        "svhn": make_svhn,
        **{name: partial(make_mnist, name) for name in MNIST_KINDS},
    }
    places = {
        "cifar10": Path(CIFAR10.base_folder, "data_batch_1"),
        "svhn": Path("train_32x32.mat"),
        **{name: Path("train-labels-idx1-ubyte.gz") for name in MNIST_KINDS},
    }
    for name, make in makers.items():
        origin, volume = root / name / "origin", root / name / "volume"
        origin.mkdir(parents=True)
        volume.mkdir()
        make(origin)
        descriptions[name] = {
            "fetched": prepared(name, volume, message),
            "again": prepared(name, volume, message),
        }
        assert [file.name for file in volume.iterdir()] == [".blockqnn"], "downloads were left"
        # The same files where a user put them: nothing is fetched, and damage is told.
        own = root / name / "own"
        target = own / (f"{MNIST_KINDS[name].__name__}/raw" if name in MNIST_KINDS else "")
        target.parent.mkdir(parents=True, exist_ok=True)
        origin.rename(target)
        pixels, labels = open_source(dataset(name, own), "test").collect()
        assert pixels.tolist() == PIXELS[name][3:].tolist()
        assert labels.tolist() == LABELS[3:]
        damage(target / places[name])
        descriptions[name]["damaged"] = prepared(name, own, message)
        # Without files, and where they cannot be fetched from.
        empty = root / name / "empty"
        empty.mkdir()
        descriptions[name]["unreachable"] = prepared(name, empty, message)
    print(json.dumps(descriptions))


if __name__ == "__main__":
    main(ROOT)
