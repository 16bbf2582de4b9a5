"""The frame of every process that a Job of the operator runs.

The operator relies on three things, however such a process ends: a termination message, an exit
status (:mod:`~blockqnn_trainer.process.exit_status`), and an answer to SIGTERM. The frame provides
them. A kind of process is a subclass that returns its result from :meth:`JobProcess.verdict` and
words what is reported when there is none, in one short file: a measurement of latency, say, would
read its specification by :class:`~blockqnn_trainer.process.specification.Source`, run the network,
and return a result of its own model; ``__main__`` would call :func:`run_process` with it.
"""

import os
import signal
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from blockqnn.contract.message import Outcome
from blockqnn.errors import BlockQNNError
from blockqnn_trainer.process.exit_status import EXIT_ERROR, EXIT_INPUT, EXIT_SIGNAL, EXIT_VERDICT
from blockqnn_trainer.process.progress import Progress
from blockqnn_trainer.process.specification import printable
from blockqnn_trainer.process.termination_message import Reporter, Result

P = TypeVar("P", bound=Progress[Result])


class Stopped(BaseException):
    """The main thread has stopped because it was asked to; passes every handler of errors."""


class JobProcess(ABC, Generic[P]):
    """A process from its environment to its termination message and exit status.

    Attributes:
        progress: None until the specification is read; without it there is no result, only text.
        stop: set when the process is asked to end.
        owns_process: True if nothing but this runs in the process.
    """

    killed: ClassVar[str] = ""
    """The message to be read if the process is killed without a signal that it could answer."""
    worth_retrying: ClassVar[tuple[type[BlockQNNError], ...]] = ()
    """Errors that may be gone at the next attempt; all others are the input's."""

    def __init__(self, environment: Mapping[str, str], reporter: Reporter | None = None) -> None:
        """Prepare a process.

        Args:
            environment: holds the specification and names the file of the termination message.
            reporter: writes that file. Default: one for a single result.
        """
        self.environment = environment
        self.reporter = reporter or Reporter(environment)
        self.progress: P | None = None
        self.owns_process = False
        self.stop = threading.Event()
        self._signal = signal.SIGTERM

    @abstractmethod
    def verdict(self) -> Result:
        """Do the work of the process; return its result.

        Raises:
            BlockQNNError: when the input is wrong.
            Stopped: when the work was asked to stop.
        """

    @abstractmethod
    def ended_by(self, name: str) -> str:
        """Return the sentence that says that a signal, by name, ended the process."""

    def failure(self, reason: str, text: str) -> Result | str:
        """Return what is reported when there is no verdict."""
        if self.progress is None:
            return text
        return self.progress.result(Outcome.FAILED, reason, text)

    def wind_down(self) -> None:
        """Give the main thread time to report by itself, after a signal."""

    def run(self) -> int:
        """Work and report the end; return the exit status."""
        message: Result | str
        try:
            status, message = EXIT_VERDICT, self.verdict()
        except Stopped:
            status, message = EXIT_SIGNAL + self._signal, self._terminated()
        except BlockQNNError as error:
            print(printable(str(error)), file=sys.stderr, flush=True)
            status = EXIT_ERROR if isinstance(error, self.worth_retrying) else EXIT_INPUT
            message = self.failure(type(error).__name__, printable(str(error)))
        except Exception as error:
            traceback.print_exc()
            text = printable(" ".join(f"{type(error).__name__}: {error}".split()))
            status, message = EXIT_ERROR, self.failure("Error", text)
        if not self.reporter.report(message):
            # Another thread was first; it is about to end the process.
            threading.Event().wait()
        # A verdict that nobody can read is none; on another node there may be room for it.
        return EXIT_ERROR if status == EXIT_VERDICT and self.reporter.lost else status

    def take_over(self) -> None:
        """Make the process this one's own, for the rest of its life.

        SIGTERM and SIGINT are reported at once and end the process. A thread waits for them,
        because a signal handler of Python would have to wait until the main thread comes back from
        torch: seconds, in the backward pass of a large network. Threads that are started later
        inherit the mask, so none of them receives the signal.
        """
        self.owns_process = True
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=self._await_signal, args=(signals,), daemon=True).start()

    def note(self) -> None:
        """Leave a message for the case that the kernel kills the process without warning."""
        assert self.progress is not None
        self.reporter.note(self.progress.result(Outcome.FAILED, "Killed", self.killed))

    def _await_signal(self, signals: set[signal.Signals]) -> None:
        self._signal = signal.Signals(signal.sigwait(signals))
        self.stop.set()
        self.wind_down()
        if self.reporter.report(self._terminated()):
            os._exit(EXIT_SIGNAL + self._signal)

    def _terminated(self) -> Result | str:
        return self.failure("Terminated", self.ended_by(self._signal.name))


def hold_signals() -> None:
    """Let a signal that comes while modules are imported wait until :meth:`JobProcess.take_over`.

    The first process of a container would never see it: the kernel drops signals to it that it
    does not handle yet.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def run_process(process: JobProcess[P]) -> int:
    """Run a process that owns this one; return the exit status."""
    process.take_over()
    return process.run()
