"""The open trials of a search, and the progress of each.

A trial is open from its proposal until its record is in the history. Only the proposals that can
matter now are looked at: those with a Job, those before them, and the next to start.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn.errors import InvalidBlock
from blockqnn.search import Proposal
from blockqnn_api.durations import seconds
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.judging.pod_start import Trouble, deletion_stall
from blockqnn_operator.core.judging.result import Verdict
from blockqnn_operator.core.judging.trial import TrialVerdict, assess_trial
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob, TrialPart
from blockqnn_operator.core.planning.open_item import OpenItem, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTrial(OpenItem[TrialJob, TrialResult]):
    """An open trial."""

    proposal: Proposal
    verdict: TrialVerdict | None = None
    """Its outcome, or that of the trial that it shares its result with."""
    shared_with: int | None = None
    """The trial whose result this one shares, once that is known."""
    failures: int = 0
    """Number of earlier attempts that have failed."""

    @property
    def number(self) -> int:
        """The number of the trial, from 0."""
        return self.proposal.trial

    @property
    def title(self) -> str:
        """The trial in a log."""
        return f"trial {self.number}"

    @property
    def part(self) -> TrialPart | None:
        """Its part of the Job, if there is one."""
        return self.job.part_of(self.number) if self.job else None

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, once it is known."""
        if self.shared_with is not None:
            return Outcome.CACHED
        return self.verdict.outcome if self.verdict else None


@dataclass(frozen=True, slots=True)
class OpenTrials:
    """The open trials in order, without a gap, from the first that is not in the history."""

    trials: tuple[OpenTrial, ...]
    leftovers: tuple[TrialJob, ...]
    """Jobs whose trials are all in the history, by trial."""
    deletions: tuple[Trouble, ...] = ()
    """Jobs that somebody has deleted and that stay: their trials cannot be started again."""
    wait_until: datetime | None = None
    """Time when a deletion becomes worth reporting."""

    @property
    def running_jobs(self) -> int:
        """Number of Jobs with a trial whose outcome is not known."""
        return len({trial.job.name for trial in self.at(Stage.RUNNING) if trial.job})

    def at(self, stage: Stage) -> list[OpenTrial]:
        """Return the open trials at a stage, in order."""
        return [trial for trial in self.trials if trial.stage is stage]

    def outcomes(self) -> dict[Outcome, int]:
        """Count the open trials whose outcome is known."""
        counts = dict.fromkeys(Outcome, 0)
        for trial in self.trials:
            if trial.outcome is not None:
                counts[trial.outcome] += 1
        return counts


def list_open_trials(observed: Observed, state: SearchState) -> OpenTrials:
    """Match the proposals, the Jobs and the Pods of a search."""
    archived = len(state.archive)
    own = observed.own(observed.jobs)
    jobs, pods = _latest_jobs(own), observed.pods_by_job()
    last_job = max(jobs, default=-1)
    originals = _Originals(state)
    trials: list[OpenTrial] = []
    startable = 0
    together = state.settings.trial.blocks_per_job
    for proposal in _proposals(state, archived):
        enough = startable >= state.settings.parallelism * together
        if enough and proposal.trial > last_job and group_of(proposal, state)[1] == 0:
            break
        job = jobs.get(proposal.trial)
        trial = (
            _started(proposal, job, pods[job.name], state, observed.now)
            if job is not None
            else _without_job(proposal, originals)
        )
        originals.add(trial)
        startable += trial.stage in (Stage.UNSTARTED, Stage.RUNNING)
        trials.append(trial)
    leftovers = sorted(
        (job for job in own if all(part.trial < archived for part in job.parts)),
        key=lambda job: (job.part.trial, job.attempt),
    )
    deletions, wait_until = _deletions(observed, {trial.number for trial in trials})
    return OpenTrials(tuple(trials), tuple(leftovers), deletions, wait_until)


def _deletions(
    observed: Observed, numbers: Container[int]
) -> tuple[tuple[Trouble, ...], datetime | None]:
    """Return the deleted Jobs of open trials that stay, and when others become news."""
    stalls = [
        deletion_stall(job, observed.now)
        for job in observed.jobs
        if job.owner_uid == observed.search.uid and job.part.trial in numbers
    ]
    troubles = tuple(trouble for trouble, _ in stalls if trouble)
    return troubles, min((moment for _, moment in stalls if moment), default=None)


def _latest_jobs(own: Sequence[TrialJob]) -> dict[int, TrialJob]:
    """Return each trial's Job of the latest attempt."""
    jobs: dict[int, TrialJob] = {}
    for job in own:
        for part in job.parts:
            previous = jobs.get(part.trial)
            # Two Jobs may have the same attempt at a trial when they were created from stale views.
            if previous is None or (previous.attempt, job.name) < (job.attempt, previous.name):
                jobs[part.trial] = job
    return jobs


def group_of(proposal: Proposal, state: SearchState) -> tuple[int, int]:
    """Return a trial's group of `trial.blocksPerJob` in its iteration, and its index in there."""
    index = proposal.trial % state.settings.agent.batch_size
    return divmod(index, state.settings.trial.blocks_per_job)


def _proposals(state: SearchState, first: int) -> Iterator[Proposal]:
    """Yield the proposals that can be made now, from a trial on, up to the budget."""
    size, budget = state.settings.agent.batch_size, state.settings.budget.trials
    for iteration in range(first // size, -(-budget // size)):
        if not state.agent.proposable(iteration):
            return
        for proposal in state.agent.proposals(iteration):
            if first <= proposal.trial < budget:
                yield proposal


class _Originals:
    """The earliest trial for each network, of those that did not fail."""

    def __init__(self, state: SearchState) -> None:
        self._archived = state.archive.originals
        self._open: dict[str, OpenTrial] = {}

    def find(self, block_hash: str) -> int | OpenTrial | None:
        return self._archived.get(block_hash, self._open.get(block_hash))

    def add(self, trial: OpenTrial) -> None:
        if trial.outcome is not Outcome.FAILED and trial.stage is not Stage.WAITING:
            self._open.setdefault(trial.proposal.hash, trial)


def _started(
    proposal: Proposal,
    job: TrialJob,
    pods: Sequence[TrialPod],
    state: SearchState,
    now: datetime,
) -> OpenTrial:
    part = job.part_of(proposal.trial)
    adopted = _adopt(proposal, part, state)
    if adopted is None:
        message = f"Its Job trains {part.block!r}, which this search cannot propose."
        wrong: TrialVerdict = Verdict(Outcome.FAILED, "BlockInvalid", message)
        return OpenTrial(
            proposal=proposal, stage=Stage.OVER, job=job, verdict=wrong, attempt=job.attempt
        )
    policy = state.settings.failure_policy
    timeout = timedelta(seconds=seconds(policy.pending_timeout))
    assessment = assess_trial(job, proposal.trial, pods, now, timeout, policy.retries)
    verdict = assessment.verdict
    if verdict and verdict.retry and (verdict.blameless or part.failures < policy.retries):
        return OpenTrial(
            proposal=adopted,
            stage=Stage.UNSTARTED,
            job=job,
            assessment=assessment,
            attempt=job.attempt + 1,
            failures=part.failures + (not verdict.blameless),
        )
    return OpenTrial(
        proposal=adopted,
        stage=Stage.OVER if verdict else Stage.RUNNING,
        job=job,
        verdict=verdict,
        assessment=assessment,
        attempt=job.attempt,
    )


def _without_job(proposal: Proposal, originals: _Originals) -> OpenTrial:
    original = originals.find(proposal.hash)
    if original is None:
        return OpenTrial(proposal=proposal, stage=Stage.UNSTARTED)
    if isinstance(original, int):
        return OpenTrial(proposal=proposal, stage=Stage.OVER, shared_with=original)
    if original.stage is not Stage.OVER:
        return OpenTrial(proposal=proposal, stage=Stage.WAITING)
    shared = original.number if original.shared_with is None else original.shared_with
    return OpenTrial(
        proposal=proposal, stage=Stage.OVER, verdict=original.verdict, shared_with=shared
    )


def _adopt(proposal: Proposal, part: TrialPart, state: SearchState) -> Proposal | None:
    """Return the proposal with the block that its Job trains, which wins over today's block.

    None when the agent could not learn from the Job's block.
    """
    if part.block_hash == proposal.hash:
        return proposal
    try:
        block = Block.parse(part.block)
    except InvalidBlock:
        return None
    if not state.agent.admits(block):
        return None
    return replace(proposal, block=block, hash=canonical_hash(block), expected=None)
