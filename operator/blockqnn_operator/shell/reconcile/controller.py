"""The reconcile of one search: observe, plan, apply, and the status last."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from blockqnn.errors import InvalidBlock, InvalidHistory
from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable, InvalidSearch
from blockqnn_api.history import shards as history
from blockqnn_api.history import trial_record as records
from blockqnn_api.history.replay import SearchState
from blockqnn_api.objects import SearchObject, version_of
from blockqnn_api.resolve import pin, resolve
from blockqnn_api.spec import DEFAULT_TRAINER_IMAGE
from blockqnn_api.status import BlockSearchStatus, Phase, Reason
from blockqnn_operator import __version__
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.events import Event, beginning, deleted_jobs, transitions
from blockqnn_operator.core.planning.finalists import FinalistPlan
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials, list_open_trials
from blockqnn_operator.core.planning.trials import Plan, plan
from blockqnn_operator.core.reporting.conditions import Problem, previous_status
from blockqnn_operator.core.reporting.status import dump, report, report_stopped
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster, Json
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.kubernetes.write_through import WriteThroughCache
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.metrics.search import Measured
from blockqnn_operator.shell.reconcile import apply
from blockqnn_operator.shell.reconcile.cleanup import JobCleanup
from blockqnn_operator.shell.reconcile.finalists import EarlierSearch, FinalistMemory, Finalists
from blockqnn_operator.shell.reconcile.load_history import load_shards
from blockqnn_operator.shell.reconcile.preparing import create_preparation
from blockqnn_operator.shell.reconcile.slots import Slots

RETRY_SECONDS = 10.0
"""Seconds before a retry of what the API server refused for a passing reason, such as a quota."""

COLLECTED_SECONDS = 1.0
"""Seconds before the next check for leftover objects of an earlier search of the same name."""

CREATIONS = 2 * apply.CONCURRENCY
"""Most Jobs of trials that one pass creates: results that are reported meanwhile wait for the next
pass, and the first one of a search of hundreds of parallel trials would take many seconds."""

STATUS_SECONDS = 1.0
"""The shortest time between two status writes of a search that only counts on: people and
``kubectl get --watch`` need no more, and each write goes to every watcher."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ReconcileState:
    """State of a search that the process keeps between two passes; all of it can be lost."""

    uid: str
    freshest: WriteThroughCache[TrialJob] = field(
        default_factory=lambda: WriteThroughCache(TrialJob.read)
    )
    generation: int = 0
    """Generation of the search when its history was read."""
    state: SearchState | None = None
    finalists: FinalistMemory = field(default_factory=FinalistMemory)
    open_trials: OpenTrials | None = None
    """The open trials as last surveyed."""
    told: set[str] = field(default_factory=set)
    """Keys of the Events that were reported."""
    seen_jobs: set[str] = field(default_factory=set)
    """Names of open trials' Jobs that existed; one that no longer exists was deleted."""
    reported: BlockSearchStatus | None = None
    """The status as last computed."""
    status: Json | None = None
    """The status as last written, until the watch reports that write or a later one."""
    status_version: int = 0
    """The resource version of the search after that write."""
    status_written: datetime | None = None

    def forget_empty_histories(self, search: SearchObject) -> None:
        """Forget histories without a trial: some may be imported while a search is suspended."""
        if self.state and not len(self.state.archive) and self.generation != search.generation:
            self.state, self.finalists.state = None, None


class Controller:
    """Reconciles searches; one search is never reconciled twice at the same time.

    Args:
        cluster: the API server.
        searches: finds a search by its key; None when it is gone.
        jobs: finds the watched Jobs of a search, with their resource versions.
        pods: finds the watched Pods of a search.
        preparations: finds the watched Jobs that make a search's images ready.
        finalists: finds the watched Jobs of a search's finalists, with their resource versions.
        metrics: counts what happens.
        slots: hands out the Jobs that may be in flight.
        cleanup: receives the Jobs of archived trials to delete.
        keys: finds the keys of all searches.
        trainer_image: the trainer's image of searches that name none.
        clock: tells the time.
    """

    def __init__(
        self,
        cluster: Cluster,
        searches: Callable[[Key], SearchObject | None],
        jobs: Callable[[Key], Iterable[tuple[int, TrialJob]]],
        pods: Callable[[Key], Iterable[TrialPod]],
        preparations: Callable[[Key], Iterable[PreparationJob]],
        finalists: Callable[[Key], Iterable[tuple[int, FinalistJob]]],
        metrics: Metrics,
        slots: Slots,
        cleanup: JobCleanup,
        keys: Callable[[], Iterable[Key]],
        trainer_image: str = DEFAULT_TRAINER_IMAGE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._resolve = partial(resolve, trainer_image=trainer_image)
        self._slots = slots
        self._cleanup = cleanup
        self._known = keys
        self._metrics = metrics
        self._cluster = cluster
        self._searches = searches
        self._jobs = jobs
        self._pods = pods
        self._preparations = preparations
        self._finalists = Finalists(cluster, finalists)
        self._memories: dict[Key, ReconcileState] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Bring a search one step further.

        Returns:
            Seconds until the next pass, even if nothing happens before; None when there is no
            need.
        """
        with self._metrics.reconciling():
            return await self._reconcile(key)

    def measured(self) -> Iterable[Measured]:
        """Yield what is known of each search, for the metrics."""
        for (namespace, name), memory in tuple(self._memories.items()):
            yield Measured(
                namespace,
                name,
                memory.uid,
                memory.state,
                memory.open_trials,
                memory.reported,
                memory.finalists.latest.gpus,
            )

    async def _reconcile(self, key: Key) -> float | None:
        search = self._searches(key)
        if search is None or search.deleting:
            self._slots.forget(key)
            self._memories.pop(key, None)
            return None
        memory = self._memories.get(key)
        if memory is None or memory.uid != search.uid:
            memory = self._memories[key] = ReconcileState(search.uid)
        observed = self._observe(key, search, memory)
        try:
            return await self._advance(observed, memory)
        except (InvalidSearch, HistoryUnreadable, InvalidHistory, InvalidBlock) as error:
            await self._stop(observed, memory, error)
            return None
        except EarlierSearch:
            return COLLECTED_SECONDS
        except ApiError as error:
            if error.status != apply.CONFLICT:
                raise
            # Somebody else wrote the history: what is stored counts, so read it again.
            memory.state, memory.finalists.state = None, None
            return COLLECTED_SECONDS

    def _observe(self, key: Key, search: SearchObject, memory: ReconcileState) -> Observed:
        if memory.status is not None and search.version < memory.status_version:
            search = replace(search, status=memory.status)
        return Observed(
            search=search,
            jobs=memory.freshest.over(self._jobs(key)),
            pods=tuple(self._pods(key)),
            now=self._clock(),
            preparations=tuple(self._preparations(key)),
        )

    async def _advance(self, observed: Observed, memory: ReconcileState) -> float | None:
        search, cluster = observed.search, self._cluster
        memory.forget_empty_histories(search)
        if memory.state is None:
            memory.generation = search.generation
            memory.state = await self._recover(search)
            if memory.state is None:
                return COLLECTED_SECONDS
        state = memory.state
        state.settings = self._resolve(search.spec, state.header.settings)
        await self._propose(state)
        decided = plan(observed, state)
        events = decided.events
        if decided.annotate:
            await self._annotate(observed, memory, decided)
            # What is durable now frees slots and may end an iteration: decide again, with that.
            observed = self._observe(_key(search), search, memory)
            decided = plan(observed, state)
            events += decided.events
        self._cleanup.ask(search, decided.cleanup, memory.freshest)
        finalists = await self._finalists.decide(
            observed, state, decided.open_trials, memory.finalists
        )
        wanted = len(decided.create) + len(finalists.create)
        granted = self._granted(search, decided, finalists)
        trials = decided.create[:granted]
        decided = replace(decided, create=trials[:CREATIONS])
        created: list[Sequence[OpenTrial]] = []
        problems = await create_preparation(cluster, search, decided.preparation.create)
        problems += await apply.create_jobs(
            cluster, search, state, decided.create, memory.freshest, created.append
        )
        problems += await self._finalists.carry_out(
            search, finalists, memory.finalists, granted - len(trials)
        )
        if problems:
            # Jobs that were not created take no slots from others until they are tried again.
            in_flight = decided.open_trials.running_jobs + len(created) + finalists.running
            self._slots.ask(_key(search), in_flight, 0)
        # Free slots are filled first: the history of what has ended can wait that long.
        await self._archive(search, memory, state, decided.archive)
        await self._propose(state)
        deleted = _deleted_jobs(observed, decided, created, memory)
        events += (*beginning(search, state), *deleted, *finalists.events)
        await apply.tell(cluster, search, events, observed.now, memory.told)
        note = ""
        if granted < wanted:
            note = f"; more wait for the operator's limit of {self._slots.limit} Jobs in flight"
        acted = decided.create or decided.archive
        memory.open_trials = None if acted else decided.open_trials
        again = await self._report(observed, memory, state, problems, note)
        waits = [decided.requeue_after, again]
        durable = decided.annotate or decided.archive or finalists.annotate or finalists.archive
        if problems:
            waits.append(RETRY_SECONDS)
        elif durable or len(trials) > CREATIONS:
            # What has just become durable frees slots or opens the next iteration: go on at once.
            waits.append(0.0)
        return min((seconds for seconds in waits if seconds is not None), default=None)

    async def _propose(self, state: SearchState) -> None:
        """Compute the next proposals; with a predictor or constraints this takes a while."""
        settings = state.settings
        if settings.agent.predictor is not None or settings.space.constraints:
            await asyncio.to_thread(state.agent.propose_next)

    async def _annotate(self, observed: Observed, memory: ReconcileState, decided: Plan) -> None:
        ended = {pod.job: pod for pod in observed.pods if pod.finished_at}
        await apply.annotate_jobs(
            self._cluster,
            observed.search,
            decided.annotate,
            memory.freshest,
            lambda trial: self._collected(trial, ended),
        )

    def _granted(self, search: SearchObject, decided: Plan, finalists: FinalistPlan) -> int:
        """Return how many of the planned Jobs may be created under the operator's limit."""
        if self._slots.limit is not None:
            # After a start not every search has asked yet, but its running Jobs count.
            for key in self._known():
                if not self._slots.knows(key):
                    running = sum(not job.is_over for _, job in self._jobs(key))
                    self._slots.ask(key, running + self._finalists.in_flight(key), 0)
        in_flight = decided.open_trials.running_jobs + finalists.running
        wanted = len(decided.create) + len(finalists.create)
        return self._slots.ask(_key(search), in_flight, wanted)

    async def _archive(
        self,
        search: SearchObject,
        memory: ReconcileState,
        state: SearchState,
        new: Sequence[records.TrialRecord],
    ) -> None:
        """Append records to the history; when that fails, the history is read again."""
        try:
            await apply.archive(self._cluster, search, state, new)
        except BaseException:
            memory.state = None
            raise

    def _collected(self, trial: OpenTrial, ended: Mapping[str, TrialPod]) -> None:
        """Record how long a trial's Job took to start, and its result to be collected."""
        job = trial.job
        pod = ended.get(job.name) if job else None
        if job is None or pod is None or pod.finished_at is None:
            return
        launched = None
        # The later trials of a Job have waited only for the trials before them.
        if pod.started_at is not None and job.created_at is not None and not job.before:
            launched = (pod.started_at - job.created_at).total_seconds()
        self._metrics.collected(launched, (self._clock() - pod.finished_at).total_seconds())

    async def _recover(self, search: SearchObject) -> SearchState | None:
        """Read the history and replay it; begin one where there is none."""
        shards = await load_shards(self._cluster, search)
        if shards is None:
            return None
        if not shards:
            settings = self._resolve(search.spec)
            header = records.Header(
                operator_version=__version__,
                search_uid=search.uid,
                seed=settings.seed,
                settings=pin(settings),
            )
            shards = [await apply.write_shard(self._cluster, search, history.start(header))]
        header, stored = records.read_lines(history.lines(shards))
        settings = self._resolve(search.spec, header.settings)
        # Replaying a long history takes seconds; other searches, and the probes, go on meanwhile.
        return await asyncio.to_thread(SearchState.recover, header, settings, shards, stored)

    async def _report(
        self,
        observed: Observed,
        memory: ReconcileState,
        state: SearchState,
        problems: list[Problem],
        note: str,
    ) -> float | None:
        """Write the status after a pass; return the seconds until the next look, if any."""
        now = self._observe(_key(observed.search), observed.search, memory)
        if memory.open_trials is None:
            memory.open_trials = list_open_trials(now, state)
        finalists = self._finalists.report(now, state, memory.open_trials, memory.finalists)
        status = report(now, state, memory.open_trials, problems, note, finalists)
        waits = [await self._write_status(now, memory, status)]
        waits.append(memory.finalists.latest.seconds_left(now.now))
        return min((seconds for seconds in waits if seconds is not None), default=None)

    async def _stop(self, observed: Observed, memory: ReconcileState, error: Exception) -> None:
        """Report that a search cannot run as it is; its change, or an upgrade, brings it back."""
        reason = (
            Reason.INVALID_SPEC if isinstance(error, InvalidSearch) else Reason.HISTORY_UNREADABLE
        )
        memory.state, memory.finalists.state = None, None
        key = _key(observed.search)
        running = sum(not job.is_over for job in observed.jobs)
        self._slots.ask(key, running + self._finalists.in_flight(key), 0)
        status = report_stopped(observed, Problem(reason, str(error)))
        await self._write_status(observed, memory, status)

    async def _write_status(
        self, observed: Observed, memory: ReconcileState, status: BlockSearchStatus
    ) -> float | None:
        """Write the status if it has changed; return the seconds to wait if it is too early."""
        memory.reported = status
        search, body = observed.search, dump(status)
        if body == search.status:
            return None
        before = previous_status(observed)
        settled = before is not None and (
            (before.phase, _summary(before)) == (status.phase, _summary(status))
        )
        if settled and memory.status_written is not None:
            age = (observed.now - memory.status_written).total_seconds()
            if age < STATUS_SECONDS and status.phase is Phase.RUNNING:
                return STATUS_SECONDS - age
        memory.status_version = await self._put_status(search, body)
        memory.status, memory.status_written = body, observed.now
        events = transitions(before.conditions if before else (), status)
        await apply.tell(self._cluster, search, events, observed.now, memory.told)
        return None

    async def _put_status(self, search: SearchObject, body: Json) -> int:
        """Replace the whole status; a merge patch would leave fields behind that are gone now.

        Returns:
            The search's resource version after the write; 0 when the search is gone.
        """
        path = f"{search_path(search)}/status"
        gone = {field: None for field in search.status if field not in body}
        try:
            return version_of(await self._cluster.patch(path, {"status": gone | body}))
        except ApiError as error:
            if error.status != apply.NOT_FOUND:
                raise
            return 0


def _deleted_jobs(
    observed: Observed,
    decided: Plan,
    created: Sequence[Sequence[OpenTrial]],
    memory: ReconcileState,
) -> tuple[Event, ...]:
    """Return the events of Jobs that existed at the last pass and had to be created again."""
    events = deleted_jobs(observed.search, created, memory.seen_jobs, observed.now)
    seen = {trial.job.name for trial in decided.open_trials.trials if trial.job}
    memory.seen_jobs = seen.difference(decided.cleanup.delete)
    return events


def _summary(status: BlockSearchStatus) -> set[tuple[str, str, str]]:
    return {(c.type, c.status, c.reason) for c in status.conditions}


def _key(search: SearchObject) -> Key:
    return search.namespace, search.name


def search_path(search: SearchObject) -> str:
    """Return the path of a BlockSearch."""
    return (
        f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{search.namespace}"
        f"/{names.PLURAL}/{search.name}"
    )
