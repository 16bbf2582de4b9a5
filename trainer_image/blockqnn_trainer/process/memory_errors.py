"""Distinguishes exhausted memory from other errors. Importing this imports torch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from blockqnn_trainer.errors import DatasetTooLarge, OutOfMemory, TrainerError

_MEMORY_ERRORS = (
    "DefaultCPUAllocator",
    "Storage size calculation overflowed",  # a tensor of more bytes than 64 bits count
    "ALLOC_FAILED",  # the libraries of CUDA, which have workspaces of their own
)
"""Marks of exhausted memory in torch's RuntimeErrors."""

_ONEDNN_ERROR = "could not create a primitive"
"""The full message of oneDNN when its code or scratchpad finds no room: seen at one of 28 memory
limits on one network, where torch's allocator failed at the others. Longer texts with the same
beginning are about shapes it does not support."""


def memory_errors_named() -> AbstractContextManager[None]:
    """Turn exhausted memory into OutOfMemory, the block's own; other errors of torch pass."""
    return _memory_errors(
        lambda cause: OutOfMemory(
            f"The network or its training does not fit into the memory: {cause}"
        )
    )


def memory_errors_of_images(dataset: str) -> AbstractContextManager[None]:
    """Turn memory that images have exhausted into DatasetTooLarge; other errors of torch pass.

    Args:
        dataset: the images, as a message names them.
    """
    return _memory_errors(
        lambda cause: DatasetTooLarge(
            f"The images of {dataset} do not fit into the memory, where a training keeps all of "
            f"them; give the container more, or use fewer or smaller images ({cause})."
        )
    )


@contextmanager
def _memory_errors(error_of: Callable[[str], TrainerError]) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory_error(error):
            raise
        raise error_of(str(error).partition("\n")[0]) from None


def _is_memory_error(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return text.strip() == _ONEDNN_ERROR or any(mark in text for mark in _MEMORY_ERRORS)
