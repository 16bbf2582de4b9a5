"""The process of a trial: from the environment to the termination message and exit status.

Torch is imported last, so that plainly wrong input is refused at once.
"""

import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TRIAL_VARIABLE, TrialResult, TrialSpec
from blockqnn.contract.trial_group import TRIALS_VARIABLE, read_trials, result_texts, write_trials
from blockqnn.errors import BlockQNNError
from blockqnn_trainer.errors import DatasetMissing, InvalidTrial
from blockqnn_trainer.process.exit_status import EXIT_ERROR, EXIT_INPUT, EXIT_SIGNAL, EXIT_VERDICT
from blockqnn_trainer.process.machine import process_age, thread_count
from blockqnn_trainer.process.termination_message import Progress, Reporter, encode_all

_KILLED = (
    "The process was killed before the trial was complete, without warning, as the kernel does "
    "when memory runs out."
)
_LAST_STANDARD_STREAM = 2
"""Standard input, output and error are 0 to 2."""
FINISHED_VARIABLE = "BLOCKQNN_FINISHED"
"""The variable with the results of earlier trials for the program that takes over this process."""


class TrialProcess:
    """A trial, or several one after another, from the environment to the termination message.

    Attributes:
        progress: None until the specification is read; without it there is no result, only text.
    """

    def __init__(self, environment: Mapping[str, str], trial_file: Path | None = None) -> None:
        """Prepare a trial.

        Args:
            environment: holds the specification and names the file of the termination message.
            trial_file: a file with the specification, instead of the environment.
        """
        self._environment = environment
        self._trial_file = trial_file
        finished = _finished(environment)
        self._reporter = Reporter(environment, finished)
        self._inherited = process_age() if finished else 0.0
        self._owns_process = False
        self.progress: Progress | None = None

    def run(self) -> int:
        """Run the trial and report its end; return the exit status."""
        message: TrialResult | str
        try:
            status, message = EXIT_VERDICT, self._verdict()
        except BlockQNNError as error:
            print(error, file=sys.stderr, flush=True)
            # A volume that is not there may come back.
            status = EXIT_ERROR if isinstance(error, DatasetMissing) else EXIT_INPUT
            message = self._failure(type(error).__name__, str(error))
        except Exception as error:
            traceback.print_exc()
            text = " ".join(f"{type(error).__name__}: {error}".split())
            status, message = EXIT_ERROR, self._failure("Error", text)
        if not self._reporter.report(message):
            # A signal came first; its thread is about to end the process.
            threading.Event().wait()
        return status

    def take_over(self) -> None:
        """Make the process the trial's own, for the rest of its life.

        SIGTERM and SIGINT are reported at once and end the process. A thread waits for them,
        because a signal handler of Python would have to wait until the main thread comes back from
        torch: seconds, in the backward pass of a large network. Threads that are started later
        inherit the mask, so none of them receives the signal.

        A network too large for the memory is reported instead of having the process killed.
        """
        self._owns_process = True
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        threading.Thread(target=self._await_signal, args=(signals,), daemon=True).start()

    def _await_signal(self, signals: set[signal.Signals]) -> None:
        number = signal.sigwait(signals)
        text = f"The trial was ended by {signal.Signals(number).name} before it was complete."
        if self._reporter.report(self._failure("Terminated", text)):
            os._exit(EXIT_SIGNAL + number)

    def _verdict(self) -> TrialResult:
        """Run the trials; return the result of the last, the others being settled."""
        *earlier, last = specs = self._specifications()
        for number, spec in enumerate(earlier):
            self._reporter.settle(self._run(spec, specs[number:], is_first=number == 0))
        return self._run(last, (last,), is_first=not earlier)

    def _run(
        self, spec: TrialSpec, remaining: Sequence[TrialSpec], *, is_first: bool
    ) -> TrialResult:
        result = self._first(spec) if is_first else self._next(spec)
        if result.reason == "OutOfMemory" and not is_first and self._owns_process:
            # What the trials before have left in the memory must not be this block's fault.
            self._start_afresh(remaining)
        return result

    def _begin(self, spec: TrialSpec, began: float) -> Block:
        # What is wrong with the block is no failure of the trial before.
        self.progress = None
        block = Block.parse(spec.block)
        self.progress = Progress(spec.trial, spec.attempt, canonical_hash(block), began)
        self._note()
        return block

    def _start_afresh(self, specs: Sequence[TrialSpec]) -> NoReturn:
        """Run the remaining trials in a new program that replaces this one."""
        finished = {FINISHED_VARIABLE: encode_all(self._reporter.finished or ())}
        environment = {**os.environ, TRIALS_VARIABLE: write_trials(specs), **finished}
        print(f"trial {specs[0].trial} runs again, with all the memory for itself", flush=True)
        sys.stderr.flush()
        _leave_files_behind()
        os.execve(sys.executable, [sys.executable, "-m", "blockqnn_trainer", "run"], environment)

    def _next(self, spec: TrialSpec) -> TrialResult:
        from blockqnn_trainer.run import trial

        block = self._begin(spec, process_age())
        assert self.progress is not None
        self.progress.start = 0.0
        trial.forget_the_last()
        return trial.run_trial(spec, block, self.progress, self._note)

    def _first(self, spec: TrialSpec) -> TrialResult:
        block = self._begin(spec, self._inherited)
        assert self.progress is not None
        # Read by OpenMP when torch loads it; without it, one thread for each processor of the node.
        os.environ["OMP_NUM_THREADS"] = str(thread_count(self._environment))
        with _uncollected():
            from blockqnn_trainer.run import trial
        self.progress.start = process_age() - self._inherited
        if self._owns_process:
            trial.limit_memory()
        return trial.run_trial(spec, block, self.progress, self._note)

    def _note(self) -> None:
        """Leave a message for the case that the kernel kills the process without warning."""
        assert self.progress is not None
        self._reporter.note(self.progress.result(Outcome.FAILED, "Killed", _KILLED))

    def _specifications(self) -> tuple[TrialSpec, ...]:
        several = self._environment.get(TRIALS_VARIABLE)
        if several is None or self._trial_file is not None:
            return (TrialSpec.read(self._specification()),)
        return read_trials(_valid_text(several))

    def _specification(self) -> str:
        if self._trial_file is not None:
            try:
                return self._trial_file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidTrial(f"The trial file cannot be read: {error}.") from None
        text = self._environment.get(TRIAL_VARIABLE)
        if text is None:
            raise InvalidTrial(
                f"There is no trial to run: set the environment variable {TRIAL_VARIABLE} to its "
                "specification, or pass a file with --trial."
            )
        return _valid_text(text)

    def _failure(self, reason: str, text: str) -> TrialResult | str:
        if self.progress is None:
            return text
        return self.progress.result(Outcome.FAILED, reason, text)


def _leave_files_behind() -> None:
    """Let the next program of this process begin with the standard streams alone.

    A device that stayed open would keep the memory of this program.
    """
    # Where the kernel has no such list, there is no device of the kind either.
    with suppress(FileNotFoundError):
        for number in map(int, os.listdir("/proc/self/fd")):
            # The list itself was one of them.
            with suppress(OSError):
                os.set_inheritable(number, number <= _LAST_STANDARD_STREAM)


def _finished(environment: Mapping[str, str]) -> tuple[TrialResult, ...] | None:
    """Return the results of the program before; None for a process of one trial."""
    if TRIALS_VARIABLE not in environment:
        return None
    finished = environment.get(FINISHED_VARIABLE)
    texts = () if finished is None else result_texts(finished).values()
    return tuple(map(TrialResult.read, texts))


def _valid_text(text: str) -> str:
    # Bytes that are no UTF-8 reach Python as lone surrogates, which no JSON reader takes.
    return text.encode(errors="replace").decode()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import without garbage collection: there is no garbage, only classes and functions.

    That saves 0.1 of 1.6 seconds. Later collections leave out the imported objects, too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
