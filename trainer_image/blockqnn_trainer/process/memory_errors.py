"""Distinguishes exhausted memory from other errors. Importing this imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from blockqnn_trainer.errors import OutOfMemory

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


@contextmanager
def memory_errors_named() -> Iterator[None]:
    """Turn exhausted memory into its own error; other errors of torch pass.

    Raises:
        OutOfMemory: when the memory was exhausted.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory_error(error):
            raise
        first_line = str(error).partition("\n")[0]
        raise OutOfMemory(
            f"The network or its training does not fit into the memory: {first_line}"
        ) from None


def _is_memory_error(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return text.strip() == _ONEDNN_ERROR or any(mark in text for mark in _MEMORY_ERRORS)
