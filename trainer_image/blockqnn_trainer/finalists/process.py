"""The process of a finalist: from the environment to the message and exit status.

Torch is imported last, so that plainly wrong input is refused at once.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FINALIST_VARIABLE, FinalistResult, FinalistSpec
from blockqnn.contract.message import Outcome
from blockqnn.errors import BlockQNNError
from blockqnn_trainer.errors import Infeasible, InvalidTrial
from blockqnn_trainer.finalists.progress import Progress, encode
from blockqnn_trainer.finalists.volume import open_folder
from blockqnn_trainer.process import machine
from blockqnn_trainer.process.exit_status import EXIT_ERROR, EXIT_INPUT, EXIT_SIGNAL, EXIT_VERDICT
from blockqnn_trainer.process.termination_message import Ending, Reporter

GRACE = 20.0
"""Seconds that SIGTERM waits for the checkpoint: Kubernetes kills after 30 by default."""

_WATCHER = 5.0
"""Seconds that the watcher of the other processes has to report why one has ended."""

_KILLED = (
    "The process was killed without warning; another attempt continues from its last checkpoint."
)


class FinalistProcess:
    """A finalist, from its environment to its termination message.

    Attributes:
        stop: set to make the training leave a checkpoint and stop.
    """

    def __init__(self, environment: Mapping[str, str], spec_file: Path | None = None) -> None:
        """Prepare a finalist.

        Args:
            environment: holds the specification and names the file of the termination message.
            spec_file: a file with the specification, instead of the environment.
        """
        self._environment = environment
        self._spec_file = spec_file
        self._reporter = Reporter(environment)
        self._progress: Progress | None = None
        self._owns_process = False
        self._signal = signal.SIGTERM
        self.stop = threading.Event()

    def run(self) -> int:
        """Train and report the end; return the exit status."""
        message: FinalistResult | str
        try:
            status, message = self._verdict()
        except BlockQNNError as error:
            print(error, file=sys.stderr, flush=True)
            status, message = EXIT_INPUT, self._failure(type(error).__name__, str(error))
        except Exception as error:
            if self._progress is not None and self._progress.processes > 1:
                # Where another process has ended, its watcher knows why, and ends this one.
                threading.Event().wait(_WATCHER)
            traceback.print_exc()
            text = " ".join(f"{type(error).__name__}: {error}".split())
            status, message = EXIT_ERROR, self._failure("Error", text)
        if not self._report(message):
            # Another thread is about to end the process.
            threading.Event().wait()
        return status

    def take_over(self) -> None:
        """Make the process the finalist's own, for the rest of its life.

        SIGTERM and SIGINT ask the training for a checkpoint, which it writes between two steps, and
        then end the process. Without a training to keep, they end it at once.
        """
        self._owns_process = True
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=self._await_signal, args=(signals,), daemon=True).start()

    def note(self) -> None:
        """Leave a message for the case that the process is killed without warning."""
        if self._progress is not None:
            killed = self._progress.result(Outcome.FAILED, "Killed", _KILLED)
            self._reporter.note(encode(killed))

    def other_ended(self, error: Exception | None, message: str) -> None:
        """Report that another process of the training ended too early, and end this one."""
        if self.stop.is_set():
            return
        outcome: Ending = Outcome.FAILED
        status, reason = EXIT_ERROR, "Error"
        if isinstance(error, BlockQNNError):
            status, reason, message = EXIT_INPUT, type(error).__name__, str(error)
        if isinstance(error, Infeasible):
            status, outcome = EXIT_VERDICT, Outcome.INFEASIBLE
        print(message, file=sys.stderr, flush=True)
        assert self._progress is not None
        if self._report(self._progress.result(outcome, reason, message)):
            os._exit(status)

    def _await_signal(self, signals: set[signal.Signals]) -> None:
        self._signal = signal.Signals(signal.sigwait(signals))
        self.stop.set()
        if self._progress is not None and self._progress.leaves_checkpoints:
            threading.Event().wait(GRACE)
        if self._report(self._terminated()):
            os._exit(EXIT_SIGNAL + self._signal)

    def _verdict(self) -> tuple[int, FinalistResult]:
        spec = FinalistSpec.read(self._specification())
        block_hash = canonical_hash(Block.parse(spec.block))
        self._progress = progress = Progress(spec, block_hash)
        self.note()
        folder = open_folder(spec)
        threads = machine.thread_count(self._environment)
        # Read by OpenMP when torch loads it; without it, one thread for each processor of the node.
        os.environ["OMP_NUM_THREADS"] = str(threads)
        from blockqnn_trainer.finalists import finalist, finish, training
        from blockqnn_trainer.run import trial

        progress.start = machine.process_age()
        done = finish.read_finished(folder, spec)
        if done is not None:
            print(f"{folder} holds the complete training already", flush=True)
            return EXIT_VERDICT, done
        if self._owns_process and (spec.processes or 1) == 1:
            trial.limit_memory()
        try:
            return EXIT_VERDICT, finalist.lead(spec, folder, progress, self, threads)
        except training.Stopped:
            return EXIT_SIGNAL + self._signal, self._terminated_result(progress)

    def _specification(self) -> str:
        if self._spec_file is not None:
            try:
                return self._spec_file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidTrial(f"The finalist's file cannot be read: {error}.") from None
        text = self._environment.get(FINALIST_VARIABLE)
        if text is None:
            raise InvalidTrial(
                f"There is no finalist to train: set the environment variable {FINALIST_VARIABLE} "
                "to its specification, or pass a file with --spec."
            )
        # Bytes that are no UTF-8 reach Python as lone surrogates, which no JSON reader takes.
        return text.encode(errors="replace").decode()

    def _failure(self, reason: str, text: str) -> FinalistResult | str:
        if self._progress is None:
            return text
        return self._progress.result(Outcome.FAILED, reason, text)

    def _terminated(self) -> FinalistResult | str:
        if self._progress is None:
            return f"The training was ended by {self._signal.name} before it began."
        return self._terminated_result(self._progress)

    def _terminated_result(self, progress: Progress) -> FinalistResult:
        done, epochs = progress.epochs_done
        return progress.result(
            Outcome.FAILED,
            "Terminated",
            f"The training was ended by {self._signal.name} after {done} of {epochs} epochs; "
            "another attempt continues from its last checkpoint.",
        )

    def _report(self, message: FinalistResult | str) -> bool:
        text = encode(message) if isinstance(message, FinalistResult) else message
        return self._reporter.report(text)
