"""The process that prepares a dataset: from the command line to message and exit status."""

import signal
import sys
import traceback
from collections.abc import Mapping
from typing import NoReturn

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import MESSAGE_LIMIT
from blockqnn.contract.preparation import PreparationResult
from blockqnn.errors import BlockQNNError
from blockqnn_trainer.datasets.prepare import prepare
from blockqnn_trainer.errors import DownloadFailed
from blockqnn_trainer.process.exit_status import EXIT_ERROR, EXIT_INPUT, EXIT_SIGNAL, EXIT_VERDICT
from blockqnn_trainer.process.termination_message import Reporter, shorten


def run_prepare(dataset: DatasetSpec, environment: Mapping[str, str]) -> int:
    """Prepare a dataset and report how it ended; return the exit status.

    The report is a :class:`~blockqnn.contract.preparation.PreparationResult` in the termination
    message, and on standard output; a failure is also a sentence on standard error.

    Args:
        dataset: the dataset to prepare, and its path.
        environment: names the file of the termination message.
    """
    # A container's first process is not ended by SIGTERM unless it asks to be.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        status, reason, message = EXIT_VERDICT, "Prepared", prepare(dataset)
    except DownloadFailed as error:
        status, reason, message = EXIT_ERROR, error.reason, str(error)
    except BlockQNNError as error:
        status, reason, message = EXIT_INPUT, type(error).__name__, str(error)
    except _Terminated:
        status, reason = EXIT_SIGNAL + signal.SIGTERM, "Terminated"
        message = "The preparation was ended by SIGTERM before it was complete."
    except Exception as error:
        traceback.print_exc()
        message = " ".join(f"{type(error).__name__}: {error}".split())
        status, reason = EXIT_ERROR, "Error"
    if status != EXIT_VERDICT:
        print(message, file=sys.stderr, flush=True)
    result = PreparationResult(
        prepared=status == EXIT_VERDICT, reason=reason, message=shorten(message, MESSAGE_LIMIT)
    )
    Reporter(environment).report(result.write())
    return status


class _Terminated(BaseException):
    """SIGTERM, on its way up past every handler of errors."""


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise _Terminated
