"""The reconcile of one search: observe, plan, apply, and the status last."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from blockqnn.errors import InvalidBlock, InvalidHistory
from blockqnn_api.errors import HistoryUnreadable, InvalidSearch
from blockqnn_api.history import trial_record as records
from blockqnn_api.history.replay import SearchState
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import resolve
from blockqnn_api.spec import DEFAULT_TRAINER_IMAGE
from blockqnn_api.status import Reason
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.observed.unreadable import UnreadableObject
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.events import beginning
from blockqnn_operator.core.planning.finalists import FinalistPlan
from blockqnn_operator.core.planning.open_trials import OpenTrial
from blockqnn_operator.core.planning.trials import Plan, plan
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.core.reporting.status import report, report_stopped
from blockqnn_operator.shell.agents.remote import Agents
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.metrics.search import Measured
from blockqnn_operator.shell.reconcile import apply, waiting
from blockqnn_operator.shell.reconcile.cleanup import JobCleanup
from blockqnn_operator.shell.reconcile.events import tell
from blockqnn_operator.shell.reconcile.finalists import EarlierSearch, Finalists
from blockqnn_operator.shell.reconcile.job_writer import CONCURRENCY, JobWriter
from blockqnn_operator.shell.reconcile.load_history import recover
from blockqnn_operator.shell.reconcile.outcome import Outcome, events_of_pass
from blockqnn_operator.shell.reconcile.preparing import create_preparation
from blockqnn_operator.shell.reconcile.refusals import CONFLICT, problem_of
from blockqnn_operator.shell.reconcile.slots import Slots
from blockqnn_operator.shell.reconcile.state import ReconcileState
from blockqnn_operator.shell.reconcile.status import write_status
from blockqnn_operator.shell.reconcile.trouble import report_trouble

RETRY_SECONDS = 10.0
"""Seconds before a retry of what the API server refused for a passing reason, such as a quota."""

COLLECTED_SECONDS = 1.0
"""Seconds before the next check for leftover objects of an earlier search of the same name."""

CREATIONS = 2 * CONCURRENCY
"""Most Jobs of trials that one pass creates: results that are reported meanwhile wait for the next
pass, and the first one of a search of hundreds of parallel trials would take many seconds."""

logger = logging.getLogger(__name__)


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
        agents: asks the agents of searches for blocks, and has a pass follow each answer.
        trainer_image: the trainer's image of searches that name none.
        clock: tells the time.
        unreadable: finds the watched Jobs and Pods of a search that cannot be read.
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
        agents: Agents,
        trainer_image: str = DEFAULT_TRAINER_IMAGE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        unreadable: Callable[[Key], Iterable[UnreadableObject]] = lambda _key: (),
    ) -> None:
        self._agents = agents
        self._clock = clock
        self._unreadable = unreadable
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

    def restored(self) -> None:
        """Read everything anew: the API server has gone back to an earlier version."""
        for key, memory in self._memories.items():
            memory.forget_what_is_stored()
            self._cleanup.forget(key)

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
            self._cleanup.forget(key)
            self._agents.forget(key)
            self._memories.pop(key, None)
            return None
        memory = self._memories.get(key)
        if memory is None or memory.uid != search.uid:
            memory = self._memories[key] = ReconcileState(search.uid)
        try:
            again = await self._advance_or_stop(self._observe(key, search, memory), memory)
        except Exception as error:
            await self._report_error(search, memory, error)
            raise
        memory.failures = 0
        return again

    async def _advance_or_stop(self, observed: Observed, memory: ReconcileState) -> float | None:
        try:
            return await self._advance(observed, memory)
        except (InvalidSearch, HistoryUnreadable, InvalidHistory, InvalidBlock) as error:
            await self._stop(observed, memory, error)
            return None
        except EarlierSearch:
            return COLLECTED_SECONDS
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            # Somebody else wrote the history: what is stored counts, so read it again.
            memory.state, memory.finalists.state = None, None
            return COLLECTED_SECONDS

    async def _report_error(
        self, search: SearchObject, memory: ReconcileState, error: Exception
    ) -> None:
        """Report that a pass has ended with an error; the queue logs it and tries again."""
        memory.failures += 1
        if (problem := problem_of(error, memory.failures)) is None:
            return
        if problem.reason is Reason.INTERNAL_ERROR:
            self._metrics.internal_error()
            # Nobody knows what holds of it now; what is stored counts.
            memory.state, memory.finalists.state = None, None
        observed = Observed(
            memory.written_status.over(search, self._clock()), (), (), self._clock()
        )
        await report_trouble(self._cluster, observed, memory, problem)

    def _observe(self, key: Key, search: SearchObject, memory: ReconcileState) -> Observed:
        return Observed(
            search=memory.written_status.over(search, self._clock()),
            jobs=memory.freshest.over(self._jobs(key)),
            pods=tuple(self._pods(key)),
            now=self._clock(),
            preparations=tuple(self._preparations(key)),
            unreadable=tuple(u for u in self._unreadable(key) if u.is_of(search.uid)),
        )

    async def _advance(self, observed: Observed, memory: ReconcileState) -> float | None:
        search = observed.search
        state = await self._load(observed, memory)
        if state is None:
            return await self._await_agent(observed, memory)
        what, warned = "the Job of a trial", memory.warnings.add
        writer = JobWriter(self._cluster, search, memory.freshest, what, warned)
        decided = plan(observed, state, assess(observed, state))
        events = decided.events
        if decided.annotate:
            await self._annotate(observed, writer, decided)
            # What is durable now frees slots and may end an iteration: decide again, with that.
            observed = self._observe(_key(search), search, memory)
            decided = plan(observed, state, assess(observed, state))
            events += decided.events
        self._cleanup.ask(writer, decided.cleanup)
        finalists = await self._finalists.decide(
            observed, state, memory.finalists, decided.assessment
        )
        outcome = await self._carry_out(writer, state, decided, finalists, memory)
        events += (*beginning(search, state), *finalists.events)
        events += events_of_pass(observed, decided, outcome, memory)
        await tell(self._cluster, search, events, observed.now, memory.events)
        assessment = decided.assessment
        if outcome.acted:
            observed = self._observe(_key(search), search, memory)
            assessment = assess(observed, state)
            await self._finalists.decide(observed, state, memory.finalists, assessment)
        if memory.agent is not None and memory.agent.waits:
            self._agents.work(_key(search), memory.agent)
        since = self._agents.working_since(_key(search))
        memory.open_trials = assessment.open_trials
        memory.reported = report(
            observed,
            state,
            assessment,
            self._problems(observed, outcome),
            outcome.note + waiting.note(since, observed.now),
            self._finalists.report(state, memory.finalists, assessment),
        )
        waits = [
            decided.requeue_after,
            await self._write_status(observed, memory),
            memory.finalists.latest.seconds_left(observed.now),
            waiting.SLOW_SECONDS if since else None,
        ]
        durable = decided.annotate or decided.archive or finalists.annotate or finalists.archive
        if outcome.problems:
            waits.append(RETRY_SECONDS)
        elif durable or outcome.cut_short:
            # What has just become durable frees slots or opens the next iteration: go on at once.
            waits.append(0.0)
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def _problems(self, observed: Observed, outcome: Outcome) -> list[Problem]:
        """Return what kept the plans from being carried out, the most exact reason first."""
        refused = self._cleanup.problems.get(_key(observed.search))
        unreadable = [Problem(Reason.OBJECT_UNREADABLE, str(o)) for o in observed.unreadable]
        return [*unreadable, *outcome.problems, *([refused] if refused else [])]

    async def _load(self, observed: Observed, memory: ReconcileState) -> SearchState | None:
        """Return the state of a search; None while it has to be waited for.

        That is while an earlier search's history is collected, and until the agent of a state that
        was recovered has proposed the blocks of every trial that may have a Job.
        """
        search = observed.search
        if search.unreadable:
            raise InvalidSearch(f"The search cannot be read: {search.unreadable}.")
        memory.forget_empty_histories(search)
        if memory.state is None:
            memory.generation, memory.complete = search.generation, False
            recovered = await recover(self._cluster, search, self._resolve)
            if recovered is None:
                return None
            memory.state, memory.agent = recovered
        state, agent = memory.state, memory.agent
        assert agent is not None
        agent.raise_failure()
        state.settings = self._resolve(search.spec, state.header.settings)
        if not memory.complete:
            iterations = waiting.iterations_with_jobs(observed, state)
            if any([agent.awaits(iteration) for iteration in iterations]):
                self._agents.work(_key(search), agent)
            memory.complete = not any(agent.awaits(iteration) for iteration in iterations)
        return state if memory.complete else None

    async def _await_agent(self, observed: Observed, memory: ReconcileState) -> float:
        """Report that a search waits for its agent, if it does so for long; return the wait."""
        since = self._agents.working_since(_key(observed.search))
        if (problem := waiting.problem(since, observed.now)) is not None:
            await report_trouble(self._cluster, observed, memory, problem)
        return COLLECTED_SECONDS

    async def _carry_out(
        self,
        writer: JobWriter[TrialJob],
        state: SearchState,
        decided: Plan,
        finalists: FinalistPlan,
        memory: ReconcileState,
    ) -> Outcome:
        """Carry out both plans, as far as the operator's limit allows."""
        search, outcome = writer.search, Outcome()
        wanted = len(decided.create) + len(finalists.create)
        in_flight = decided.assessment.open_trials.running_jobs + finalists.running
        granted = self._granted(search, in_flight, wanted)
        trials = decided.create[:granted]
        outcome.cut_short = len(trials) > CREATIONS
        if granted < wanted:
            limit = self._slots.limit
            outcome.note = f"; more wait for the operator's limit of {limit} Jobs in flight"
        preparation = decided.assessment.preparation.create
        outcome.acted = finalists.acts or bool(trials or decided.archive or preparation)
        outcome.problems += await create_preparation(
            self._cluster, search, preparation, writer.warned
        )
        outcome.problems += await apply.create_jobs(
            writer, state, trials[:CREATIONS], outcome.created.append
        )
        outcome.problems += await self._finalists.carry_out(
            search, finalists, memory.finalists, granted - len(trials), writer.warned
        )
        if outcome.problems:
            # Jobs that were not created take no slots from others until they are tried again.
            self._slots.ask(_key(search), in_flight + len(outcome.created), 0)
        # Free slots are filled first: the history of what has ended can wait that long.
        await self._archive(search, memory, state, decided.archive)
        return outcome

    async def _annotate(
        self, observed: Observed, writer: JobWriter[TrialJob], decided: Plan
    ) -> None:
        ended = {pod.job: pod for pod in observed.pods if pod.finished_at}
        await apply.annotate_jobs(
            writer, decided.annotate, lambda trial: self._collected(trial, ended)
        )

    async def _write_status(self, observed: Observed, memory: ReconcileState) -> float | None:
        """Write the status as last computed; return the seconds to wait if it is too early."""
        if memory.reported is None:
            return None
        status, written = memory.reported, memory.written_status
        return await write_status(self._cluster, observed, status, written, memory.events)

    def _granted(self, search: SearchObject, in_flight: int, wanted: int) -> int:
        """Return how many of the planned Jobs may be created under the operator's limit."""
        if self._slots.limit is not None:
            # After a start not every search has asked yet, but its running Jobs count.
            for key in self._known():
                if not self._slots.knows(key):
                    running = sum(not job.is_over for _, job in self._jobs(key))
                    self._slots.ask(key, running + self._finalists.in_flight(key), 0)
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
        is_first = job.part.trial == trial.number
        if pod.started_at is not None and job.created_at is not None and is_first:
            launched = (pod.started_at - job.created_at).total_seconds()
        self._metrics.collected(launched, (self._clock() - pod.finished_at).total_seconds())

    async def _stop(self, observed: Observed, memory: ReconcileState, error: Exception) -> None:
        """Report that a search cannot run as it is; its change, or an upgrade, brings it back."""
        reason = (
            Reason.INVALID_SPEC if isinstance(error, InvalidSearch) else Reason.HISTORY_UNREADABLE
        )
        memory.state, memory.finalists.state = None, None
        key = _key(observed.search)
        running = sum(not job.is_over for job in observed.jobs)
        self._slots.ask(key, running + self._finalists.in_flight(key), 0)
        memory.reported = report_stopped(observed, Problem(reason, str(error)))
        await self._write_status(observed, memory)


def _key(search: SearchObject) -> Key:
    return search.namespace, search.name
