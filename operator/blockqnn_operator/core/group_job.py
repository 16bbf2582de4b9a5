"""The Job of several trials, which train one after another in one process. Pure."""

from collections.abc import Sequence

from blockqnn.contract.trial_group import TRIALS_VARIABLE, write_trials
from blockqnn_operator.api import names
from blockqnn_operator.api.spec import BlockSearchSpec
from blockqnn_operator.core.ledger import OpenTrial
from blockqnn_operator.core.manifests import (
    BAD_INPUT_STATUS,
    Manifest,
    exit_rule,
    job,
    job_name,
    pod_template,
    trial_job,
    trial_labels,
    trial_spec,
)
from blockqnn_operator.core.observation import BlockOfJob, SearchObject, write_blocks


def job_of(
    search: SearchObject, settings: BlockSearchSpec, trials: Sequence[OpenTrial]
) -> Manifest:
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
    labels = trial_labels(search, first.proposal)
    specs = [trial_spec(search, settings, trial.proposal, trial.attempt) for trial in trials]
    told = {"name": TRIALS_VARIABLE, "value": write_trials(specs)}
    return job(
        search,
        settings,
        job_name(search.name, first.number, first.attempt),
        labels,
        {**annotation, names.ATTEMPT_ANNOTATION: str(first.attempt)},
        {
            # Another Pod would train again what has its result: what is left gets another Job.
            "backoffLimit": 0,
            "podFailurePolicy": {"rules": [exit_rule("FailJob", BAD_INPUT_STATUS)]},
            "template": pod_template(settings, labels, annotation, told, len(trials)),
        },
    )
