"""The process of a finalist.

Torch is imported last, so that plainly wrong input is refused at once.
"""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.fields import TrainedOutcome
from blockqnn.contract.finalist import FINALIST_VARIABLE, FinalistResult, FinalistSpec
from blockqnn.contract.message import Outcome
from blockqnn.errors import BlockQNNError
from blockqnn_trainer.errors import Infeasible
from blockqnn_trainer.finalists.progress import FinalistProgress
from blockqnn_trainer.finalists.volume import open_folder
from blockqnn_trainer.process.exit_status import EXIT_ERROR, EXIT_INPUT, EXIT_VERDICT
from blockqnn_trainer.process.job_process import JobProcess
from blockqnn_trainer.process.machine import process_age, set_threads
from blockqnn_trainer.process.specification import Source, printable

GRACE = 20.0
"""Seconds that SIGTERM waits for the checkpoint: Kubernetes kills after 30 by default."""

_WATCHER = 5.0
"""Seconds that the watcher of the other processes has to report why one has ended."""

_NEXT = "another attempt continues from its last checkpoint."
_SOURCE = Source(
    variable=FINALIST_VARIABLE,
    option="--spec",
    file="The finalist's file",
    missing="There is no finalist to train",
)


class FinalistProcess(JobProcess[FinalistProgress]):
    """A finalist; SIGTERM and SIGINT ask its training for a checkpoint between two steps."""

    killed = f"The process was killed without warning; {_NEXT}"

    def __init__(self, environment: Mapping[str, str], spec_file: Path | None = None) -> None:
        """Prepare a finalist; a file may hold the specification, instead of the environment."""
        super().__init__(environment)
        self._spec_file = spec_file

    def ended_by(self, name: str) -> str:
        """Return the sentence about a signal."""
        if self.progress is None:
            return f"The training was ended by {name} before it began."
        done, epochs = self.progress.epochs_done
        return f"The training was ended by {name} after {done} of {epochs} epochs; {_NEXT}"

    def wind_down(self) -> None:
        """Wait for the checkpoint where the training leaves one."""
        if self.progress is not None and self.progress.leaves_checkpoints:
            threading.Event().wait(GRACE)

    def _other_ended(self, error: Exception | None, message: str) -> None:
        """Report that another process of the training ended too early, and end this one."""
        if self.stop.is_set():
            return
        outcome: TrainedOutcome = Outcome.FAILED
        status, reason = EXIT_ERROR, "Error"
        if isinstance(error, BlockQNNError):
            status, reason, message = EXIT_INPUT, type(error).__name__, printable(str(error))
        if isinstance(error, Infeasible):
            status, outcome = EXIT_VERDICT, Outcome.INFEASIBLE
        print(message, file=sys.stderr, flush=True)
        assert self.progress is not None
        if self.reporter.report(self.progress.result(outcome, reason, message)):
            os._exit(status)

    def verdict(self) -> FinalistResult:
        """Train the finalist, or find that it was trained before."""
        spec = FinalistSpec.read(_SOURCE.read(self.environment, self._spec_file))
        block_hash = canonical_hash(Block.parse(spec.block))
        self.progress = progress = FinalistProgress(spec, block_hash)
        self.note()
        folder = open_folder(spec)
        threads = set_threads(self.environment)
        from blockqnn_trainer.finalists import finalist, finish
        from blockqnn_trainer.run import trial

        progress.start = process_age()
        done = finish.read_finished(folder, spec)
        if done is not None:
            print(f"{folder} holds the complete training already", flush=True)
            return done
        if self.owns_process and (spec.processes or 1) == 1:
            trial.limit_memory()
        try:
            return finalist.lead(spec, folder, progress, self, self._other_ended, threads)
        except BlockQNNError:
            raise
        except Exception:
            if progress.processes > 1:
                # Where another process has ended, its watcher knows why, and ends this one.
                threading.Event().wait(_WATCHER)
            raise
