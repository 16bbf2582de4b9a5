"""Plans the next steps for a search's finalists. Pure, total and deterministic.

A finalist leaves its traces in the same order as a trial: annotation, then history, then deletion
of the Job. A failed finalist is not in the history: its Job stays and is the record. Whoever fixes
the cause deletes the Job, and the finalist is tried again from its last checkpoint.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from blockqnn.contract.finalist import FinalistResult
from blockqnn_api.durations import seconds
from blockqnn_api.finalist_targets import OWN, goals_of
from blockqnn_api.finalists_spec import Finalists
from blockqnn_api.history.finalist_record import Finalist, FinalistArchive, FinalistRecord
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.jobs.finalist import FinalistAttempt, finalist_job, finalist_seed
from blockqnn_operator.core.judging.finalist import (
    UNASSESSED,
    VOLUME_MISSING,
    FinalistAssessment,
    assess_finalist,
)
from blockqnn_operator.core.judging.preparation import Preparation
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.events import Event
from blockqnn_operator.core.planning.finalist_selection import Ranking, own_finalists, transfers
from blockqnn_operator.core.planning.preparation import prepare

SHARED_BY_ALL = frozenset({VOLUME_MISSING, "VolumeUnusable"})
"""Reasons that would end every other finalist in the same way: no more are started meanwhile."""

SHARED_BY_TARGET = frozenset({"DatasetMissing", "DatasetInvalid", "NetworkInvalid"})
"""Reasons that would end every other finalist of the same target in the same way."""

SHARED = SHARED_BY_ALL | SHARED_BY_TARGET


class Stage(Enum):
    """Progress of a finalist."""

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
    assessment: FinalistAssessment = UNASSESSED
    attempt: int = 0
    """The attempt that runs, has ended, or is to be started."""


@dataclass(slots=True)
class FinalistState:
    """State of a search's finalists that is kept between two passes; it can be read again."""

    archive: FinalistArchive = field(default_factory=FinalistArchive)
    ranking: Ranking = field(default_factory=Ranking)


@dataclass(frozen=True, slots=True)
class FinalistPlan:
    """Next steps for finalists; every part may be empty, and is safe to do twice."""

    wanted: tuple[Finalist, ...] = ()
    """Finalists that need a result, as far as they are known yet."""
    open: tuple[OpenFinalist, ...] = ()
    """Finalists that are wanted or running, and not in the history."""
    settled: bool = True
    """Nothing runs or is to be started: all that are wanted are over, or need a person."""
    create: tuple[Manifest, ...] = ()
    annotate: tuple[OpenFinalist, ...] = ()
    archive: tuple[FinalistRecord, ...] = ()
    delete: tuple[str, ...] = ()
    """Jobs whose records are in the history, or that are stopped."""
    preparations: Mapping[str, Preparation] = field(default_factory=dict)
    """State of the images, for each goal that has finalists to start."""
    events: tuple[Event, ...] = ()
    wait_until: datetime | None = None
    """Time to look again, even if nothing happens before."""

    @property
    def acts(self) -> bool:
        """True where it changes what holds of the finalists."""
        prepares = any(p.create or p.delete for p in self.preparations.values())
        return bool(self.create or self.annotate or self.archive or self.delete or prepares)

    @property
    def running(self) -> int:
        """Number of Jobs that have no outcome yet."""
        return sum(finalist.stage is Stage.RUNNING for finalist in self.open)

    @property
    def gpus(self) -> int:
        """Number of accelerators of the running Jobs."""
        return sum(
            finalist.job.gpus
            for finalist in self.open
            if finalist.stage is Stage.RUNNING and finalist.job
        )

    def seconds_left(self, now: datetime) -> float | None:
        """Return the seconds until the next look; None when there is no need."""
        if self.wait_until is None:
            return None
        return max((self.wait_until - now).total_seconds(), 0.1)


NO_FINALISTS = FinalistPlan()
"""Plan of a search that asks for no finalists."""


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
        observed: the snapshot of the search.
        state: its settings and history.
        kept: the history of its finalists.
        jobs: the Jobs of finalists.
        over: whether the search's own trials are over, since a budget is spent.
    """
    asked = state.settings.finalists
    if asked is None:
        return NO_FINALISTS
    return _Planning(observed, state, kept, asked, jobs, over=over).plan()


class _Planning:
    """One decision, in steps that build on one another."""

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
            open_finalist
            for open_finalist in startable
            if not preparations[open_finalist.finalist.target].failed
            and not self._state.settings.suspend
        ]
        ready = [
            open_finalist
            for open_finalist in waiting
            if preparations[open_finalist.finalist.target].ready
        ]
        free = self._parallelism - sum(
            open_finalist.stage is Stage.RUNNING for open_finalist in open_
        )
        running = any(open_finalist.stage in (Stage.RUNNING, Stage.OVER) for open_finalist in open_)
        preparing = [p.wait_until for p in preparations.values()]
        moments = [open_finalist.assessment.wait_until for open_finalist in open_] + preparing
        return FinalistPlan(
            wanted=wanted,
            open=open_,
            settled=not waiting and not running,
            create=tuple(map(self._manifest, ready[: max(free, 0)])),
            annotate=tuple(
                open_finalist for open_finalist in open_ if open_finalist.assessment.annotate
            ),
            archive=tuple(
                _record(open_finalist)
                for open_finalist in open_
                if open_finalist.stage is Stage.OVER
            ),
            delete=self._to_delete(open_),
            preparations=preparations,
            events=tuple(event for open_finalist in open_ for event in _events(open_finalist)),
            wait_until=min((moment for moment in moments if moment), default=None),
        )

    @property
    def _parallelism(self) -> int:
        asked = self._asked.parallelism
        return self._state.settings.parallelism if asked is None else asked

    def _survey(self, wanted: Sequence[Finalist]) -> tuple[OpenFinalist, ...]:
        """Match the wanted finalists with the Jobs.

        A Job that is no longer wanted still runs to its end: it has cost too much to be thrown
        away. Once such a Job has failed, it no longer matters.
        """
        open_wanted = [
            self._look(finalist) for finalist in wanted if finalist not in self._archive.records
        ]
        wanted_set = set(wanted)
        others = sorted(f for f in self._latest if f not in wanted_set)
        more = [
            self._look(finalist) for finalist in others if finalist not in self._archive.records
        ]
        return (
            *open_wanted,
            *(finalist for finalist in more if finalist.stage in (Stage.RUNNING, Stage.OVER)),
        )

    def _look(self, finalist: Finalist) -> OpenFinalist:
        job = self._latest.get(finalist)
        if job is None:
            return OpenFinalist(finalist, Stage.UNSTARTED)
        settings = self._state.settings
        pending = timedelta(seconds=seconds(settings.failure_policy.pending_timeout))
        seed = finalist_seed(settings.seed, finalist)
        assessment = assess_finalist(job, self._pods[job.name], seed, self._observed.now, pending)
        failure = assessment.failure
        if failure and failure.retry and job.attempt < self._asked.retries:
            return OpenFinalist(finalist, Stage.UNSTARTED, job, assessment, job.attempt + 1)
        stage = Stage.FAILED if failure else Stage.OVER if assessment.result else Stage.RUNNING
        return OpenFinalist(finalist, stage, job, assessment, job.attempt)

    def _startable(self, open_: Sequence[OpenFinalist]) -> list[OpenFinalist]:
        """Return the finalists to start, in order, without those that a shared failure blocks."""
        return [
            open_finalist
            for open_finalist in open_
            if open_finalist.stage is Stage.UNSTARTED
            and not self._blocked(open_finalist.finalist.target, open_)
        ]

    def _blocked(self, target: str, open_: Sequence[OpenFinalist]) -> bool:
        """Return whether another finalist's failure would end those of a target too."""
        for open_finalist in open_:
            failure = open_finalist.assessment.failure
            if open_finalist.stage is Stage.FAILED and failure is not None:
                same = open_finalist.finalist.target == target
                if failure.reason in SHARED_BY_ALL or (same and failure.reason in SHARED_BY_TARGET):
                    return True
        return False

    def _prepare(self, startable: Sequence[OpenFinalist]) -> dict[str, Preparation]:
        """Return the state of the images of each goal that waits for them, in order."""
        wanted = not self._state.settings.suspend
        return {
            name: prepare(
                self._observed, self._state, wanted=wanted, dataset=self._goals[name].dataset
            )
            for name in dict.fromkeys(open_finalist.finalist.target for open_finalist in startable)
        }

    def _manifest(self, open_finalist: OpenFinalist) -> Manifest:
        finalist = open_finalist.finalist
        goal, record = self._goals[finalist.target], self._state.archive.records[finalist.trial]
        attempt = FinalistAttempt(goal, finalist, record, open_finalist.attempt)
        return finalist_job(self._observed.search, self._state.settings, self._asked, attempt)

    def _to_delete(self, open_: Sequence[OpenFinalist]) -> tuple[str, ...]:
        """Return the Jobs that are no longer needed.

        These are the Jobs whose records are in the history, those of an earlier attempt, and, when
        the search must stop at once, those that run: their checkpoints are on the volume.
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
                open_finalist.job.name
                for open_finalist in open_
                if open_finalist.job
                and open_finalist.stage is Stage.RUNNING
                and not open_finalist.assessment.annotate
                and not open_finalist.job.is_over
            ]
        return (*archived, *earlier, *stopped)


def _settled(own: Sequence[Finalist], open_: Sequence[OpenFinalist]) -> bool:
    """Return whether all on the search's own dataset are in the history or have failed."""
    counted = set(own)
    return all(
        open_finalist.stage is Stage.FAILED
        for open_finalist in open_
        if open_finalist.finalist in counted
    )


def _record(open_finalist: OpenFinalist) -> FinalistRecord:
    result, job = open_finalist.assessment.result, open_finalist.job
    if result is None or job is None:
        raise ValueError(f"{open_finalist.finalist} is not over")
    fields: dict[str, Any] = {
        name: getattr(result, name)
        for name in (
            "outcome", "reason", "message", "accuracy", "top5_accuracy", "resumed",
            "damaged_checkpoints", "measured_on", "parameters", "macs", "processes", "device",
            "folder", "weights", "seconds",
        )
    }  # fmt: skip
    trial, target, seed = open_finalist.finalist
    return FinalistRecord(
        trial=trial,
        target=target,
        seed=seed,
        attempt=job.attempt,
        block=job.part.block,
        hash=job.part.block_hash,
        epochs=result.epoch,
        gpus=job.gpus,
        **fields,
    )


def _events(open_finalist: OpenFinalist) -> list[Event]:
    job, assessment = open_finalist.job, open_finalist.assessment
    if job is None:
        return []
    who = f"{open_finalist.finalist} ({job.name})"
    events = []
    if assessment.invalid:
        events.append(
            Event(
                f"{job.name}/ResultInvalid",
                "Warning",
                "ResultInvalid",
                f"{who}: {assessment.invalid}",
            )
        )
    if open_finalist.stage is Stage.FAILED and assessment.failure:
        why = assessment.failure
        text = f"{who}: {why.reason}: {why.message}"
        events.append(Event(f"{job.name}/FinalistFailed", "Warning", "FinalistFailed", text))
    if assessment.result and assessment.result.damaged_checkpoints:
        text = f"{who}: {_damage(assessment.result)}"
        events.append(Event(f"{job.name}/CheckpointDamaged", "Warning", "CheckpointDamaged", text))
    if assessment.result and assessment.result.accuracy is not None:
        text = f"{who} reached {assessment.result.accuracy:.2%} accuracy."
        events.append(Event(f"{job.name}/FinalistTrained", "Normal", "FinalistTrained", text))
    elif assessment.result:
        text = f"{who}: {assessment.result.reason}: {assessment.result.message}"
        events.append(Event(f"{job.name}/FinalistInfeasible", "Normal", "FinalistInfeasible", text))
    return events


def _damage(result: FinalistResult) -> str:
    number = result.damaged_checkpoints
    singular = number == 1
    return (
        f"{number} checkpoint{'' if singular else 's'} on the volume could not be read and "
        f"{'was' if singular else 'were'} left out; the training "
        f"{'went on from another' if result.resumed else 'began anew'}."
    )
