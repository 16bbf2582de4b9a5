"""The Job of several trials, which train one after another in one process. Pure."""

from collections.abc import Sequence
from typing import Protocol

from blockqnn.contract.trial_group import TRIALS_VARIABLE, write_trials
from blockqnn.search import Proposal
from blockqnn_api import names
from blockqnn_api.objects import BlockOfJob, SearchObject, write_blocks
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.base import (
    BAD_INPUT_STATUS,
    Manifest,
    exit_rule,
    job,
)
from blockqnn_operator.core.jobs.trial import (
    job_name,
    trial_job,
    trial_pod,
    trial_spec,
    trial_template_hash,
)


class Attempt(Protocol):
    """An attempt at a trial that a Job is to make."""

    @property
    def proposal(self) -> Proposal:
        """The trial."""

    @property
    def number(self) -> int:
        """The number of the trial, from 0."""

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 0."""

    @property
    def failures(self) -> int:
        """Number of earlier attempts that have failed."""


def job_of(search: SearchObject, settings: BlockSearchSpec, trials: Sequence[Attempt]) -> Manifest:
    """Return the Job that trains the blocks of trials; it bears the name of the first."""
    first = trials[0]
    if len(trials) == 1:
        return trial_job(search, settings, first.proposal, first.attempt, first.failures)
    blocks = [
        BlockOfJob(
            trial=trial.number,
            block=str(trial.proposal.block),
            hash=trial.proposal.hash,
            failures=trial.failures,
        )
        for trial in trials
    ]
    annotation = {names.BLOCKS_ANNOTATION: write_blocks(blocks)}
    specs = [trial_spec(search, settings, trial.proposal, trial.attempt) for trial in trials]
    text = write_trials(specs)
    return job(
        search,
        settings,
        job_name(search.name, first.number, first.attempt),
        trial_pod(search, settings, first.proposal, annotation, text, TRIALS_VARIABLE, len(trials)),
        # Another Pod would train finished blocks again: the remaining blocks get another Job.
        retries=0,
        attempt=first.attempt,
        template_hash=trial_template_hash(settings),
        failure_policy={"rules": [exit_rule("FailJob", BAD_INPUT_STATUS)]},
    )
