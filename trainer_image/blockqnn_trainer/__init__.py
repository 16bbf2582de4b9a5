"""Trains the network of one block and reports its validation accuracy.

:func:`build_network` builds the network; the command ``blockqnn-train``
(:mod:`blockqnn_trainer.__main__`) runs a trial. The names below are the public interface. Importing
this package does not import torch; the first use of one of them does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blockqnn_trainer.finalists.load import load_model
    from blockqnn_trainer.network.block import Convolution
    from blockqnn_trainer.network.network import (
        Stage,
        build_network,
        count_macs,
        count_parameters,
        initialise,
    )

__all__ = [
    "Convolution",
    "Stage",
    "build_network",
    "count_macs",
    "count_parameters",
    "initialise",
    "load_model",
]

_MODULES = {
    "Convolution": "blockqnn_trainer.network.block",
    "load_model": "blockqnn_trainer.finalists.load",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use.

    Raises:
        AttributeError: when there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "blockqnn_trainer.network.network")), name)
