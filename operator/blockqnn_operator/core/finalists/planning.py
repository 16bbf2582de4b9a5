"""What to do about a search's finalists. Pure, total and deterministic.

The order of a finalist's traces is that of a trial's: annotation, then history, then deletion of
the Job. One that has failed is not in the history: its Job stays and is the record, so whoever
mends what was wrong deletes the Job and has it tried again, from its last checkpoint.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from blockqnn.contract.finalist import FinalistResult
from blockqnn_operator.api.durations import seconds
from blockqnn_operator.api.finalists import Finalists
from blockqnn_operator.api.targets import OWN, goals_of
from blockqnn_operator.core.events import Event
from blockqnn_operator.core.finalists.job import finalist_job, finalist_seed
from blockqnn_operator.core.finalists.observation import FinalistJob
from blockqnn_operator.core.finalists.records import Finalist, FinalistArchive, FinalistRecord
from blockqnn_operator.core.finalists.selection import Ranking, own_finalists, transfers
from blockqnn_operator.core.finalists.verdicts import (
    RUNNING,
    VOLUME_MISSING,
    Failure,
    Judgement,
    judge,
)
from blockqnn_operator.core.manifests import Manifest
from blockqnn_operator.core.observation import Observed, TrialPod
from blockqnn_operator.core.preparation import Preparation, prepare
from blockqnn_operator.core.records import TrialRecord
from blockqnn_operator.core.state import SearchState

SHARED_BY_ALL = frozenset({VOLUME_MISSING, "VolumeUnusable"})
"""Reasons that would end every other finalist in the same way: no more are started meanwhile."""

SHARED_BY_TARGET = frozenset({"DatasetMissing", "DatasetInvalid", "NetworkInvalid"})
"""Reasons that would so end every other finalist of the same target."""

SHARED = SHARED_BY_ALL | SHARED_BY_TARGET


class Stage(Enum):
    """How far a finalist has come."""

    UNSTARTED = auto()
    """It needs a Job and has none."""
    RUNNING = auto()
    """Its Job exists and has no outcome yet."""
    FAILED = auto()
    """Its Job says that it has failed."""
    OVER = auto()
    """Its result is durable; the history takes it, or has it already."""


@dataclass(frozen=True, slots=True)
class OpenFinalist:
    """A finalist that is wanted or has a Job, and is not in the history."""

    finalist: Finalist
    stage: Stage
    job: FinalistJob | None = None
    """Its Job of the latest attempt."""
    judgement: Judgement = RUNNING
    attempt: int = 0
    """The attempt that runs, has ended, or is to be started."""


@dataclass(slots=True)
class FinalistState:
    """What is kept of a search's finalists between two passes; it can be read again."""

    archive: FinalistArchive = field(default_factory=FinalistArchive)
    ranking: Ranking = field(default_factory=Ranking)


@dataclass(frozen=True, slots=True)
class FinalistPlan:
    """What to do now about finalists; every part may be empty, and is safe to do twice."""

    wanted: tuple[Finalist, ...] = ()
    """Those that are to have a result, as far as they are known yet."""
    open: tuple[OpenFinalist, ...] = ()
    """Those that are wanted or running, and not in the history."""
    settled: bool = True
    """Nothing runs or is to be started: all that are wanted are over, or need a person."""
    create: tuple[Manifest, ...] = ()
    annotate: tuple[OpenFinalist, ...] = ()
    archive: tuple[FinalistRecord, ...] = ()
    delete: tuple[str, ...] = ()
    """Jobs whose records are in the history, or that are stopped."""
    preparations: Mapping[str, Preparation] = field(default_factory=dict)
    """How far the images of each goal are that has finalists to be started."""
    events: tuple[Event, ...] = ()
    wait_until: datetime | None = None
    """When to look again although nothing may happen until then."""

    @property
    def running(self) -> int:
        """How many Jobs have no outcome yet."""
        return sum(one.stage is Stage.RUNNING for one in self.open)

    @property
    def gpus(self) -> int:
        """How many accelerators the Jobs have that run."""
        return sum(one.job.gpus for one in self.open if one.stage is Stage.RUNNING and one.job)

    def seconds_left(self, now: datetime) -> float | None:
        """Say after how many seconds to look again; None when there is no need."""
        if self.wait_until is None:
            return None
        return max((self.wait_until - now).total_seconds(), 0.1)


NO_FINALISTS = FinalistPlan()
"""That of a search that asks for none."""


def plan_finalists(
    observed: Observed,
    state: SearchState,
    kept: FinalistState,
    jobs: Sequence[FinalistJob],
    *,
    over: bool,
) -> FinalistPlan:
    """Decide what to do about a search's finalists.

    Args:
        observed: what is seen of the search.
        state: its settings and history.
        kept: the history of its finalists.
        jobs: the Jobs of finalists that are seen.
        over: whether the search's own trials are over, since a budget is spent.
    """
    asked = state.settings.finalists
    if asked is None:
        return NO_FINALISTS
    return _Planning(observed, state, kept, asked, jobs, over=over).plan()


class _Planning:
    """One decision, in the steps that build on one another."""

    def __init__(
        self,
        observed: Observed,
        state: SearchState,
        kept: FinalistState,
        asked: Finalists,
        jobs: Sequence[FinalistJob],
        *,
        over: bool,
    ) -> None:
        self._observed, self._state, self._asked, self._over = observed, state, asked, over
        self._archive = kept.archive
        self._goals = {goal.name: goal for goal in goals_of(state.settings)}
        self._jobs = [j for j in jobs if j.owner_uid == observed.search.uid and not j.deleting]
        self._latest: dict[Finalist, FinalistJob] = {}
        for job in sorted(self._jobs, key=lambda job: job.attempt):
            self._latest[job.finalist] = job
        begun = over or asked.continuous
        self._chosen = kept.ranking.best(state.archive, asked.count) if begun else ()
        self._pods: dict[str, list[TrialPod]] = defaultdict(list)
        for pod in observed.pods:
            self._pods[pod.job].append(pod)

    def plan(self) -> FinalistPlan:
        """Decide."""
        own = own_finalists(self._goals[OWN], self._chosen)
        wanted, open_ = own, self._survey(own)
        if self._over and _settled(own, open_) and not self._blocked(OWN, open_):
            wanted = (*own, *transfers([*self._goals.values()], self._archive, self._chosen))
            open_ = self._survey(wanted)
        startable = self._startable(open_)
        preparations = self._prepare(startable)
        waiting = [
            one
            for one in startable
            if not preparations[one.finalist.target].failed and not self._state.settings.suspend
        ]
        ready = [one for one in waiting if preparations[one.finalist.target].ready]
        free = self._parallelism - sum(one.stage is Stage.RUNNING for one in open_)
        running = any(one.stage in (Stage.RUNNING, Stage.OVER) for one in open_)
        preparing = [p.wait_until for p in preparations.values()]
        moments = [one.judgement.wait_until for one in open_] + preparing
        return FinalistPlan(
            wanted=wanted,
            open=open_,
            settled=not waiting and not running,
            create=tuple(map(self._manifest, ready[: max(free, 0)])),
            annotate=tuple(one for one in open_ if one.judgement.annotate),
            archive=tuple(_record(one) for one in open_ if one.stage is Stage.OVER),
            delete=self._to_delete(open_),
            preparations=preparations,
            events=tuple(event for one in open_ for event in _events(one)),
            wait_until=min((moment for moment in moments if moment), default=None),
        )

    @property
    def _parallelism(self) -> int:
        asked = self._asked.parallelism
        return self._state.settings.parallelism if asked is None else asked

    def _survey(self, wanted: Sequence[Finalist]) -> tuple[OpenFinalist, ...]:
        """Bring what is wanted and the Jobs together.

        A Job that is wanted no more is brought to its end all the same: it has cost too much to be
        thrown away. One that has failed meanwhile is not a matter any more.
        """
        found = [self._look(one) for one in wanted if one not in self._archive.records]
        known = set(wanted)
        others = sorted(f for f in self._latest if f not in known)
        more = [self._look(one) for one in others if one not in self._archive.records]
        return (*found, *(one for one in more if one.stage in (Stage.RUNNING, Stage.OVER)))

    def _look(self, finalist: Finalist) -> OpenFinalist:
        job = self._latest.get(finalist)
        if job is None:
            return OpenFinalist(finalist, Stage.UNSTARTED)
        settings = self._state.settings
        pending = timedelta(seconds=seconds(settings.failure_policy.pending_timeout))
        seed = finalist_seed(settings.seed, finalist)
        judgement = judge(job, self._pods[job.name], seed, self._observed.now, pending)
        failure = judgement.failure
        if failure and failure.retry and job.attempt < self._asked.retries:
            return OpenFinalist(finalist, Stage.UNSTARTED, job, judgement, job.attempt + 1)
        stage = Stage.FAILED if failure else Stage.OVER if judgement.result else Stage.RUNNING
        return OpenFinalist(finalist, stage, job, judgement, job.attempt)

    def _startable(self, open_: Sequence[OpenFinalist]) -> list[OpenFinalist]:
        """Return those to be started, in order, that nothing hinders that others have met."""
        return [
            one
            for one in open_
            if one.stage is Stage.UNSTARTED and not self._blocked(one.finalist.target, open_)
        ]

    def _blocked(self, target: str, open_: Sequence[OpenFinalist]) -> bool:
        """Say whether another finalist has met what would end those of a target too."""
        for one in open_:
            failure = one.judgement.failure
            if one.stage is Stage.FAILED and failure is not None:
                same = one.finalist.target == target
                if failure.reason in SHARED_BY_ALL or (same and failure.reason in SHARED_BY_TARGET):
                    return True
        return False

    def _prepare(self, startable: Sequence[OpenFinalist]) -> dict[str, Preparation]:
        """Return how far the images are of each goal that waits for them, in order."""
        wanted = not self._state.settings.suspend
        return {
            name: prepare(
                self._observed, self._state, wanted=wanted, dataset=self._goals[name].dataset
            )
            for name in dict.fromkeys(one.finalist.target for one in startable)
        }

    def _manifest(self, one: OpenFinalist) -> Manifest:
        return finalist_job(
            self._observed.search,
            self._state.settings,
            self._asked,
            self._goals[one.finalist.target],
            one.finalist,
            self._found(one.finalist),
            one.attempt,
        )

    def _found(self, finalist: Finalist) -> TrialRecord:
        return self._state.archive.records[finalist.trial]

    def _to_delete(self, open_: Sequence[OpenFinalist]) -> tuple[str, ...]:
        """Return the Jobs that are of no use any more.

        Those whose records are in the history, those of an earlier attempt, and, when the search is
        to stop at once, those that run: their checkpoints are on the volume.
        """
        archived = [j.name for j in self._jobs if j.finalist in self._archive.records]
        earlier = [
            job.name
            for job in self._jobs
            if job.name not in archived and self._latest[job.finalist].name != job.name
        ]
        settings, stopped = self._state.settings, []
        if settings.suspend and settings.suspend_policy == "Stop":
            stopped = [
                one.job.name
                for one in open_
                if one.job
                and one.stage is Stage.RUNNING
                and not one.judgement.annotate
                and not one.job.is_over
            ]
        return (*archived, *earlier, *stopped)


def _settled(own: Sequence[Finalist], open_: Sequence[OpenFinalist]) -> bool:
    """Say whether all on the search's own dataset have a result in the history, or have failed."""
    counted = set(own)
    return all(one.stage is Stage.FAILED for one in open_ if one.finalist in counted)


def _record(one: OpenFinalist) -> FinalistRecord:
    result, job = one.judgement.result, one.job
    if result is None or job is None:
        raise ValueError(f"{one.finalist} is not over")
    fields: dict[str, Any] = {
        name: getattr(result, name)
        for name in (
            "outcome", "reason", "message", "accuracy", "top5_accuracy", "resumed",
            "damaged_checkpoints", "measured_on", "parameters", "macs", "processes", "device",
            "folder", "weights", "seconds",
        )
    }  # fmt: skip
    trial, target, seed = one.finalist
    return FinalistRecord(
        trial=trial,
        target=target,
        seed=seed,
        attempt=job.attempt,
        block=job.block,
        hash=job.block_hash,
        epochs=result.epoch,
        gpus=job.gpus,
        **fields,
    )


def _events(one: OpenFinalist) -> list[Event]:
    job, judgement = one.job, one.judgement
    if job is None:
        return []
    who = f"{one.finalist} ({job.name})"
    found = []
    if judgement.invalid:
        found.append(
            Event(
                f"{job.name}/ResultInvalid",
                "Warning",
                "ResultInvalid",
                f"{who}: {judgement.invalid}",
            )
        )
    if one.stage is Stage.FAILED and judgement.failure:
        why: Failure = judgement.failure
        text = f"{who}: {why.reason}: {why.message}"
        found.append(Event(f"{job.name}/FinalistFailed", "Warning", "FinalistFailed", text))
    if judgement.result and judgement.result.damaged_checkpoints:
        text = f"{who}: {_damage(judgement.result)}"
        found.append(Event(f"{job.name}/CheckpointDamaged", "Warning", "CheckpointDamaged", text))
    if judgement.result and judgement.result.accuracy is not None:
        text = f"{who} reached {judgement.result.accuracy:.2%} accuracy."
        found.append(Event(f"{job.name}/FinalistTrained", "Normal", "FinalistTrained", text))
    elif judgement.result:
        text = f"{who}: {judgement.result.reason}: {judgement.result.message}"
        found.append(Event(f"{job.name}/FinalistInfeasible", "Normal", "FinalistInfeasible", text))
    return found


def _damage(result: FinalistResult) -> str:
    number = result.damaged_checkpoints
    one = number == 1
    return (
        f"{number} checkpoint{'' if one else 's'} on the volume could not be read and "
        f"{'was' if one else 'were'} left out; the training "
        f"{'went on from another' if result.resumed else 'began anew'}."
    )
