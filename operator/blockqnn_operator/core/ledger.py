"""The open trials of a search: what each is, and how far it has come.

A trial is open from its proposal until its record is in the history. Only as many proposals are
looked at as can matter now: those with a Job, those before them, and the next to start.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from blockqnn.contract import Outcome, TrialResult
from blockqnn.errors import InvalidBlock
from blockqnn.graph import canonical_hash
from blockqnn.nsc import Block
from blockqnn.search import Proposal
from blockqnn_operator.api.durations import seconds
from blockqnn_operator.core.observation import Observed, TrialJob, TrialPod
from blockqnn_operator.core.state import SearchState
from blockqnn_operator.core.verdicts import NOTHING_SAID, Judgement, Verdict, judge


class Stage(Enum):
    """How far an open trial has come."""

    UNSTARTED = auto()
    """It needs a Job and has none."""
    WAITING = auto()
    """An earlier open trial means the same network; what that reaches is shared."""
    RUNNING = auto()
    """Its Job exists and has no outcome yet."""
    OVER = auto()
    """Its outcome is known and durable."""


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """An open trial."""

    proposal: Proposal
    stage: Stage
    job: TrialJob | None = None
    """Its Job of the latest attempt, if there is one."""
    verdict: Verdict | None = None
    judgement: Judgement = NOTHING_SAID
    shared_with: int | None = None
    """The trial whose result this one shares, once that is known."""
    attempt: int = 0
    """The attempt at the trial that runs, has ended, or is to be started."""

    @property
    def number(self) -> int:
        """The number of the trial, from 0."""
        return self.proposal.trial

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, once it is known."""
        if self.shared_with is not None:
            return Outcome.CACHED
        return self.verdict.outcome if self.verdict else None

    @property
    def to_annotate(self) -> TrialResult | None:
        """The result that must be written to the trial's Job."""
        return self.judgement.annotate


@dataclass(frozen=True, slots=True)
class Ledger:
    """The open trials in order, without a gap, from the first that is not in the history."""

    trials: tuple[OpenTrial, ...]
    leftovers: tuple[TrialJob, ...]
    """Jobs whose trials are in the history, by trial."""

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


def survey(observed: Observed, state: SearchState) -> Ledger:
    """Bring the proposals, the Jobs and the Pods of a search together."""
    archived = len(state.archive)
    jobs = _latest_jobs(observed)
    pods: dict[str, list[TrialPod]] = defaultdict(list)
    for pod in observed.pods:
        pods[pod.job].append(pod)
    last_job = max(jobs, default=-1)
    originals = _Originals(state)
    trials: list[OpenTrial] = []
    startable = 0
    for proposal in _proposals(state, archived):
        if startable >= state.settings.parallelism and proposal.trial > last_job:
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
        (job for job in observed.jobs if job.trial < archived and not job.deleting),
        key=lambda job: (job.trial, job.attempt),
    )
    return Ledger(tuple(trials), tuple(leftovers))


def _latest_jobs(observed: Observed) -> dict[int, TrialJob]:
    """Return each trial's Job of the latest attempt; strangers of the same name do not count."""
    jobs: dict[int, TrialJob] = {}
    for job in observed.jobs:
        if job.owner_uid != observed.search.uid or job.deleting:
            continue
        known = jobs.get(job.trial)
        if known is None or known.attempt < job.attempt:
            jobs[job.trial] = job
    return jobs


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
    adopted = _adopt(proposal, job, state)
    if adopted is None:
        message = f"Its Job trains {job.block!r}, which is no block of this search."
        wrong = Verdict(Outcome.FAILED, "BlockInvalid", message)
        return OpenTrial(proposal, Stage.OVER, job, wrong, attempt=job.attempt)
    policy = state.settings.failure_policy
    judgement = judge(job, pods, now, timedelta(seconds=seconds(policy.pending_timeout)))
    verdict = judgement.verdict
    if verdict and verdict.retry and job.attempt < policy.retries:
        attempt = job.attempt + 1
        return OpenTrial(adopted, Stage.UNSTARTED, job, None, judgement, attempt=attempt)
    stage = Stage.OVER if verdict else Stage.RUNNING
    return OpenTrial(adopted, stage, job, verdict, judgement, attempt=job.attempt)


def _without_job(proposal: Proposal, originals: _Originals) -> OpenTrial:
    original = originals.find(proposal.hash)
    if original is None:
        return OpenTrial(proposal, Stage.UNSTARTED)
    if isinstance(original, int):
        return OpenTrial(proposal, Stage.OVER, shared_with=original)
    if original.stage is not Stage.OVER:
        return OpenTrial(proposal, Stage.WAITING)
    shared = original.number if original.shared_with is None else original.shared_with
    return OpenTrial(proposal, Stage.OVER, verdict=original.verdict, shared_with=shared)


def _adopt(proposal: Proposal, job: TrialJob, state: SearchState) -> Proposal | None:
    """Take the block that a Job trains: it wins over what would be proposed today.

    None when the agent could not learn from it.
    """
    if job.block_hash == proposal.hash:
        return proposal
    try:
        block = Block.parse(job.block)
    except InvalidBlock:
        return None
    if not state.agent.admits(block):
        return None
    return replace(proposal, block=block, hash=canonical_hash(block))
