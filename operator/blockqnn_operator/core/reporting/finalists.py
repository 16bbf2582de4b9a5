"""Finalists in the status of a search. Pure."""

from dataclasses import dataclass, replace

from blockqnn.contract.message import Outcome
from blockqnn_api.finalist_targets import OWN, goals_of
from blockqnn_api.history.finalist_record import FinalistArchive, SeedStatistics
from blockqnn_api.history.replay import SearchState
from blockqnn_api.status import MOST_TOP, BestFinalist, FinalistsStatus, Reason, TargetStatus
from blockqnn_operator.core.judging.pod_start import Trouble
from blockqnn_operator.core.planning.finalists import SHARED, FinalistPlan
from blockqnn_operator.core.planning.open_finalists import OpenFinalist
from blockqnn_operator.core.planning.open_item import Stage

DIGITS = 6
"""Decimal places of the status' numbers, as for trials."""

_KNOWN_REASONS = frozenset(
    str(reason)
    for reason in (
        Reason.DATASET_INVALID,
        Reason.DATASET_MISSING,
        Reason.DATASET_TOO_LARGE,
        Reason.DOWNLOAD_FAILED,
        Reason.FOLDER_TAKEN,
        Reason.MODEL_INVALID,
        Reason.NETWORK_INVALID,
        Reason.PODS_MISSING,
        Reason.PREPARATION_FAILED,
        Reason.QUEUED,
        Reason.RESULT_INVALID,
        Reason.UNSCHEDULABLE,
        Reason.VOLUME_MISSING,
        Reason.VOLUME_UNUSABLE,
    )
)


@dataclass(frozen=True, slots=True)
class FinalistReport:
    """Progress of a search's finalists, for its conditions."""

    status: FinalistsStatus
    reason: Reason
    message: str
    summary: str
    """The message without reasons of failures, for the message of the whole search."""
    ready: bool = False
    """All that are wanted have a result."""
    given_up: bool = False
    """Some have failed for good, each for a reason of its own; all others have a result, and there
    is a winner among them."""
    stopped: bool = False
    """They will not go on by themselves."""
    hindered: bool = False
    """They may go on by themselves, but need attention."""
    winner: SeedStatistics | None = None
    """The best block on the search's own dataset, once that is settled."""

    @property
    def finished(self) -> bool:
        """True once nothing is left to do, so that the search may be complete."""
        return self.ready or self.given_up


def report_finalists(
    state: SearchState, archive: FinalistArchive, decided: FinalistPlan, *, over: bool
) -> FinalistReport | None:
    """Return the report on a search's finalists; None where it asks for none.

    Args:
        state: the settings and the history of the search.
        archive: the history of its finalists.
        decided: the plan, made by that history.
        over: whether the search's own trials are over.
    """
    if state.settings.finalists is None:
        return None
    done = [f for f in decided.wanted if f in archive.records]
    ready = over and decided.settled and not decided.open and len(done) == len(decided.wanted)
    standings = _standings(state, archive, decided, final=over)
    counts = [archive.records[finalist].outcome for finalist in done]
    own = standings.get(OWN, [])
    status = FinalistsStatus(
        progress=f"{len(done)}/{len(decided.wanted)}",
        total=len(decided.wanted),
        running=decided.running,
        succeeded=counts.count(Outcome.SUCCEEDED),
        infeasible=counts.count(Outcome.INFEASIBLE),
        failed=sum(item.failure is not None for item in decided.open),
        records=len(archive.records),
        gpu_seconds=round(archive.gpu_seconds, 1),
        best=_best(own[0]) if own else None,
        top=tuple(map(_best, own[:MOST_TOP])),
        targets=tuple(
            TargetStatus(name=name, best=_best(of[0]))
            for name, of in standings.items()
            if name and of
        ),
    )
    if ready:
        message = _ready_message(status)
        winner = own[0] if own else None
        return FinalistReport(status, Reason.TRAINED, message, message, ready=True, winner=winner)
    winner = own[0] if over and own and _given_up(decided) else None
    return _unready(state, status, decided, over=over, winner=winner)


def _given_up(decided: FinalistPlan) -> bool:
    """Return whether all without a result have failed for good, none for a shared reason.

    A reason that others would meet too must be fixed first: whoever reads that the search is
    complete would not look for finalists that were never started.
    """
    return decided.settled and all(
        item.failure is not None and item.failure.reason not in SHARED for item in decided.open
    )


def _standings(
    state: SearchState, archive: FinalistArchive, decided: FinalistPlan, *, final: bool
) -> dict[str, list[SeedStatistics]]:
    """Return the ranking on each goal.

    Once the search is over only the blocks that were its best in the end count, so that the winner
    does not depend on which others happened to be trained on the way.
    """
    standings = {}
    for goal in goals_of(state.settings):
        trials = [f.trial for f in decided.wanted if f.target == goal.name]
        # While one on the own dataset is tried again, which blocks are transferred is open.
        counted = trials if final and trials else None
        standings[goal.name] = archive.standings(goal.name, counted)
    return standings


def _best(standing: SeedStatistics) -> BestFinalist:
    record, deviation = standing.best, standing.deviation
    return BestFinalist(
        trial=standing.trial,
        block=standing.block,
        accuracy=round(standing.mean, DIGITS),
        deviation=None if deviation is None else round(deviation, DIGITS),
        seeds=len(standing.records),
        folder=record.folder,
        **record.measurements,
    )


def _ready_message(status: FinalistsStatus) -> str:
    best = status.best
    if best is None:
        return (
            "No finalist has reached an accuracy."
            if status.total
            else "There is no block to train."
        )
    spread = "" if best.deviation is None else f" ± {best.deviation:.2%} over {best.seeds} seeds"
    return (
        f"{_count(status.succeeded)} trained; the best is the block of trial {best.trial}, with an "
        f"accuracy of {best.accuracy:.2%}{spread}."
    )


def _unready(
    state: SearchState,
    status: FinalistsStatus,
    decided: FinalistPlan,
    *,
    over: bool,
    winner: SeedStatistics | None,
) -> FinalistReport:
    stopped = over and decided.settled and not state.settings.suspend and winner is None
    trouble = _trouble(decided)
    if trouble is not None:
        is_known = trouble.reason in _KNOWN_REASONS
        reached = _ready_message(status) if winner else ""
        missing = f"{_failed(status)}; the condition FinalistsReady gives the reason."
        return FinalistReport(
            status,
            Reason(trouble.reason) if is_known else Reason.FINALISTS_FAILED,
            f"{reached} {trouble.message}".strip(),
            f"{reached} {missing}" if winner else trouble.message,
            given_up=winner is not None,
            stopped=stopped,
            hindered=True,
            winner=winner,
        )
    done = f"{_running(status)}, {status.succeeded + status.infeasible} of {status.total} are done."
    if state.settings.suspend:
        message = f"Suspended; {done}"
        return FinalistReport(status, Reason.SUSPENDED, message, message)
    preparing = [p for p in decided.preparations.values() if not p.ready]
    if preparing and not status.running:
        message = preparing[0].message
        return FinalistReport(status, Reason.PREPARING, message, message)
    if not over and not decided.open:
        message = "Finalists will be trained when the budget is spent."
        return FinalistReport(status, Reason.TRIALS_RUNNING, message, message)
    return FinalistReport(status, Reason.FINALISTS_RUNNING, done, done)


def _trouble(decided: FinalistPlan) -> Trouble | None:
    """Return what needs attention first: a failure, then a hindrance."""
    failures = [(i.finalist, i.job, i.failure) for i in decided.open if i.job and i.failure]
    if failures:
        finalist, job, failure = failures[0]
        more = f" In total {len(failures)} have failed." if len(failures) > 1 else ""
        message = (
            f"{finalist} failed: {_sentence(failure.message)} Fix this, then delete Job "
            f"{job.name} to try again; it continues from its last checkpoint.{more}"
        )
        return Trouble(failure.reason, message)
    for preparation in decided.preparations.values():
        if preparation.failed or preparation.hindered:
            return Trouble(str(preparation.reason), preparation.message)
    hindrances = ((item.finalist, _hindrance(item)) for item in decided.open)
    return next((replace(h, message=f"{f}: {h.message}") for f, h in hindrances if h), None)


def _hindrance(item: OpenFinalist) -> Trouble | None:
    """Return what keeps a finalist from going on, or is wrong with what its Job reports."""
    if item.assessment.waiting:
        return item.assessment.waiting
    if item.job and item.job.suspended and item.stage is Stage.RUNNING:
        message = "Its Job is suspended until a queue, such as Kueue's, admits it."
        return Trouble(str(Reason.QUEUED), message)
    if item.assessment.invalid:
        return Trouble(str(Reason.RESULT_INVALID), item.assessment.invalid)
    return None


def _sentence(text: str) -> str:
    """Return a trainer's message with a full stop at its end: Python's own errors have none."""
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."


def _failed(status: FinalistsStatus) -> str:
    return "1 finalist has failed" if status.failed == 1 else f"{status.failed} have failed"


def _running(status: FinalistsStatus) -> str:
    return f"{_count(status.running)} running"


def _count(number: int) -> str:
    return "1 finalist is" if number == 1 else f"{number} finalists are"
