"""The process that prepares a dataset."""

import signal
import sys
from collections.abc import Mapping

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import MESSAGE_LIMIT
from blockqnn.contract.preparation import PreparationResult
from blockqnn.network.datasets import OFFICIAL
from blockqnn_trainer.datasets.prepare import prepare
from blockqnn_trainer.errors import DownloadFailed
from blockqnn_trainer.process.job_process import JobProcess, Stopped, run_process
from blockqnn_trainer.process.machine import limit_memory, memory_limit
from blockqnn_trainer.process.progress import Progress
from blockqnn_trainer.process.termination_message import shorten


def run_prepare(dataset: DatasetSpec, environment: Mapping[str, str]) -> int:
    """Prepare a dataset and report how it ended; return the exit status.

    The report is a :class:`~blockqnn.contract.preparation.PreparationResult` in the termination
    message, and on standard output; a failure is also a sentence on standard error.

    Args:
        dataset: the dataset to prepare, and its path.
        environment: names the file of the termination message.
    """
    return run_process(_PrepareProcess(dataset, environment))


class _PrepareProcess(JobProcess[Progress[PreparationResult]]):
    worth_retrying = (DownloadFailed,)

    def __init__(self, dataset: DatasetSpec, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self._dataset = dataset

    def take_over(self) -> None:
        # The main thread ends by an exception, so that it removes its unfinished files.
        signal.signal(signal.SIGTERM, self._interrupt)
        # The kernel would end it at its limit, without a word about the images. Official files are
        # known to fit, and what reads them maps more than it touches.
        if self._dataset.name not in OFFICIAL:
            limit_memory(memory_limit())

    def verdict(self) -> PreparationResult:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            return _result("Prepared", prepare(self._dataset))
        finally:
            # The report of what has become of it is not to be interrupted.
            self.stop.set()

    def _interrupt(self, _number: int, _frame: object) -> None:
        # Once: the files are being removed, or the end is being reported.
        if not self.stop.is_set():
            self.stop.set()
            raise Stopped

    def ended_by(self, name: str) -> str:
        return f"The preparation was ended by {name} before it was complete."

    def failure(self, reason: str, text: str) -> PreparationResult:
        if reason in ("Error", "Terminated"):  # other errors are on standard error already
            print(text, file=sys.stderr, flush=True)
        return _result(reason, text)


def _result(reason: str, message: str) -> PreparationResult:
    message = shorten(message, MESSAGE_LIMIT)
    return PreparationResult(prepared=reason == "Prepared", reason=reason, message=message)
