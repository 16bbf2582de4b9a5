"""The process of a trial, or of several.

Torch is imported last, so that plainly wrong input is refused at once.
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.trial import TRIAL_VARIABLE, TrialResult, TrialSpec
from blockqnn.contract.trial_group import TRIALS_VARIABLE, read_trials, result_texts, write_trials
from blockqnn_trainer.errors import DatasetMissing, DatasetTooLarge
from blockqnn_trainer.process.job_process import JobProcess
from blockqnn_trainer.process.machine import process_age, set_threads
from blockqnn_trainer.process.specification import Source, valid_text
from blockqnn_trainer.process.termination_message import Reporter, encode_all
from blockqnn_trainer.run.progress import TrialProgress

_SOURCE = Source(
    variable=TRIAL_VARIABLE,
    option="--trial",
    file="The trial file",
    missing="There is no trial to run",
)
_LAST_STANDARD_STREAM = 2
"""Standard input, output and error are 0 to 2."""
FINISHED_VARIABLE = "BLOCKQNN_FINISHED"
"""The variable with the results of earlier trials for the program that takes over this process."""


class TrialProcess(JobProcess[TrialProgress]):
    """A trial, or several one after another."""

    killed = (
        "The process was killed before the trial was complete, without warning, as the "
        "kernel does when memory runs out."
    )
    # A volume that is not there may come back, and so may memory of a GPU that others use.
    worth_retrying = (DatasetMissing, DatasetTooLarge)

    def __init__(self, environment: Mapping[str, str], trial_file: Path | None = None) -> None:
        """Prepare a trial; a file may hold the specification, instead of the environment."""
        finished = _finished(environment)
        super().__init__(environment, Reporter(environment, finished))
        self._trial_file = trial_file
        self._inherited = process_age() if finished else 0.0

    def ended_by(self, name: str) -> str:
        """Return the sentence about a signal."""
        return f"The trial was ended by {name} before it was complete."

    def verdict(self) -> TrialResult:
        """Run the trials; return the result of the last, the others being settled."""
        *earlier, last = specs = self._specifications()
        for number, spec in enumerate(earlier):
            self.reporter.settle(self._run(spec, specs[number:], is_first=number == 0))
        return self._run(last, (last,), is_first=not earlier)

    def _specifications(self) -> tuple[TrialSpec, ...]:
        several = self.environment.get(TRIALS_VARIABLE)
        if several is None or self._trial_file is not None:
            return (TrialSpec.read(_SOURCE.read(self.environment, self._trial_file)),)
        return read_trials(valid_text(several))

    def _run(
        self, spec: TrialSpec, remaining: Sequence[TrialSpec], *, is_first: bool
    ) -> TrialResult:
        # What is wrong with the block is no failure of the trial before.
        self.progress = None
        block = Block.parse(spec.block)
        began = self._inherited if is_first else process_age()
        self.progress = TrialProgress(spec.trial, spec.attempt, canonical_hash(block), began)
        self.note()
        if is_first:
            set_threads(self.environment)
            _import_torch()
        from blockqnn_trainer.run import trial

        self.progress.start = process_age() - began if is_first else 0.0
        if not is_first:
            trial.forget_the_last()
        elif self.owns_process:
            trial.limit_memory()
        result = trial.run_trial(spec, block, self.progress, self.note)
        if result.reason == "OutOfMemory" and not is_first and self.owns_process:
            # What the trials before have left in the memory must not be this block's fault.
            self._start_afresh(remaining)
        return result

    def _start_afresh(self, specs: Sequence[TrialSpec]) -> NoReturn:
        """Run the remaining trials in a new program that replaces this one."""
        finished = {FINISHED_VARIABLE: encode_all(self.reporter.finished or ())}
        environment = {**os.environ, TRIALS_VARIABLE: write_trials(specs), **finished}
        print(f"trial {specs[0].trial} runs again, with all the memory for itself", flush=True)
        sys.stderr.flush()
        _leave_files_behind()
        os.execve(sys.executable, [sys.executable, "-m", "blockqnn_trainer", "run"], environment)


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


def _import_torch() -> None:
    """Import without garbage collection: there is no garbage, only classes and functions.

    That saves 0.1 of 1.6 seconds. Later collections leave out the imported objects, too.
    """
    gc.disable()
    try:
        import_module("blockqnn_trainer.run.trial")
    finally:
        gc.freeze()
        gc.enable()
