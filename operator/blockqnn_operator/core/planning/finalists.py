"""Plans the next steps for a search's finalists. Pure, total and deterministic.

A finalist leaves its traces in the same order as a trial: annotation, then history, then deletion
of the Job. A failed finalist is not in the history: its Job stays and is the record. Whoever fixes
the cause deletes the Job, and the finalist is tried again from its last checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from blockqnn_api.finalist_targets import OWN, goals_of
from blockqnn_api.finalists_spec import Finalists
from blockqnn_api.history.finalist_record import Finalist, FinalistArchive, FinalistRecord
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.jobs.finalist import (
    FinalistAttempt,
    finalist_job,
    finalist_template_hash,
)
from blockqnn_operator.core.judging.finalist import VOLUME_MISSING
from blockqnn_operator.core.judging.pod_start import never_ran
from blockqnn_operator.core.judging.preparation import Preparation
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.archiving import finalist_record_of
from blockqnn_operator.core.planning.events import Event, events_of_finalist
from blockqnn_operator.core.planning.finalist_selection import Ranking, own_finalists, transfers
from blockqnn_operator.core.planning.open_finalists import FinalistJobs, OpenFinalist
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.preparation import prepare

SHARED_BY_ALL = frozenset({VOLUME_MISSING, "VolumeUnusable"})
"""Reasons that would end every other finalist in the same way: no more are started meanwhile."""

SHARED_BY_TARGET = frozenset(
    {"DatasetMissing", "DatasetInvalid", "DatasetTooLarge", "NetworkInvalid"}
)
"""Reasons that would end every other finalist of the same target in the same way."""

SHARED = SHARED_BY_ALL | SHARED_BY_TARGET


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
        return sum(item.stage is Stage.RUNNING for item in self.open)

    @property
    def gpus(self) -> int:
        """Number of accelerators of the running Jobs."""
        running = [item.job for item in self.open if item.stage is Stage.RUNNING]
        return sum(job.gpus for job in running if job)

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
        self._jobs = FinalistJobs(observed, state.settings, asked, jobs)
        begun = over or asked.continuous
        self._chosen = kept.ranking.best(state.archive, asked.count) if begun else ()

    def plan(self) -> FinalistPlan:
        """Decide."""
        wanted, open_ = self._wanted()
        startable = [
            item
            for item in open_
            if item.stage is Stage.UNSTARTED and not _blocked(item.finalist.target, open_)
        ]
        may_start = not self._state.settings.suspend
        preparations = self._prepare(startable, wanted=may_start)
        with_images = [(item, preparations[item.finalist.target]) for item in startable]
        waiting = [(i, images) for i, images in with_images if may_start and not images.failed]
        ready = [item for item, images in waiting if images.ready]
        running = [item for item in open_ if item.stage is Stage.RUNNING]
        over = [item for item in open_ if item.stage is Stage.OVER]
        manifests = map(self._manifest, ready[: max(self._parallelism - len(running), 0)])
        moments = [item.assessment.wait_until for item in open_]
        moments += [images.wait_until for images in preparations.values()]
        return FinalistPlan(
            wanted=wanted,
            open=open_,
            settled=not (waiting or running or over),
            # One whose Job is there and cannot be read is not started anew.
            create=tuple(m for m in manifests if not self._observed.hides(m["metadata"]["name"])),
            annotate=tuple(item for item in open_ if item.to_annotate),
            archive=tuple(map(finalist_record_of, over)),
            delete=self._to_delete(running),
            preparations=preparations,
            events=tuple(event for item in open_ for event in events_of_finalist(item)),
            wait_until=min((moment for moment in moments if moment), default=None),
        )

    @property
    def _parallelism(self) -> int:
        asked = self._asked.parallelism
        return self._state.settings.parallelism if asked is None else asked

    def _wanted(self) -> tuple[tuple[Finalist, ...], tuple[OpenFinalist, ...]]:
        """Return the finalists that are wanted, as far as they are known yet, and the open ones."""
        archived = self._archive.records
        own = own_finalists(self._goals[OWN], self._chosen)
        open_ = self._jobs.list_open(own, archived)
        settled = all(item.stage is Stage.FAILED for item in open_ if item.finalist in own)
        if not self._over or not settled or _blocked(OWN, open_):
            return own, open_
        wanted = (*own, *transfers([*self._goals.values()], self._archive, self._chosen))
        return wanted, self._jobs.list_open(wanted, archived)

    def _prepare(
        self, startable: Sequence[OpenFinalist], *, wanted: bool
    ) -> dict[str, Preparation]:
        """Return the state of the images of each goal that waits for them, in order."""
        return {
            target: prepare(
                self._observed, self._state, wanted=wanted, dataset=self._goals[target].dataset
            )
            for target in dict.fromkeys(item.finalist.target for item in startable)
        }

    def _manifest(self, item: OpenFinalist) -> Manifest:
        goal = self._goals[item.finalist.target]
        record = self._state.archive.records[item.finalist.trial]
        attempt = FinalistAttempt(goal, item.finalist, record, item.attempt)
        return finalist_job(self._observed.search, self._state.settings, self._asked, attempt)

    def _to_delete(self, running: Sequence[OpenFinalist]) -> tuple[str, ...]:
        """Return the Jobs that are no longer needed.

        These are the Jobs whose records are in the history, those of an earlier attempt, and, when
        the search must stop at once, those that run: their checkpoints are on the volume.
        """
        jobs, latest = self._jobs.all, self._jobs.latest
        archived = [job.name for job in jobs if job.finalist in self._archive.records]
        earlier = [
            job.name
            for job in jobs
            if job.name not in archived and latest[job.finalist].name != job.name
        ]
        settings = self._state.settings
        if not settings.suspend or settings.suspend_policy != "Stop":
            return (*archived, *earlier, *self._outdated(running))
        going = [item.job for item in running if item.job and not item.to_annotate]
        return (*archived, *earlier, *(job.name for job in going if not job.is_over))

    def _outdated(self, running: Sequence[OpenFinalist]) -> list[str]:
        """Return the Jobs whose Pods have never run and would be others by today's spec."""
        pods = self._observed.pods_by_job()
        return [
            item.job.name
            for item in running
            if item.job
            and (current := self._template_hash(item.finalist.target))
            and item.job.template_hash not in ("", current)
            and not item.to_annotate
            and never_ran(item.job, pods[item.job.name])
        ]

    def _template_hash(self, target: str) -> str:
        goal = self._goals.get(target)
        # A target that was removed has no Pods any more: its Jobs stay as they are.
        if goal is None:
            return ""
        return finalist_template_hash(self._state.settings, self._asked, goal.dataset)


def _blocked(target: str, open_: Sequence[OpenFinalist]) -> bool:
    """Return whether another finalist's failure would end those of a target too."""
    return any(
        item.failure.reason in SHARED_BY_ALL
        or (item.failure.reason in SHARED_BY_TARGET and item.finalist.target == target)
        for item in open_
        if item.failure
    )
