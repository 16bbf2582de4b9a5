"""State of a search that the process keeps between two passes."""

from dataclasses import dataclass, field

from blockqnn_api.history.replay import SearchState
from blockqnn_api.objects import SearchObject
from blockqnn_api.status import BlockSearchStatus
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.open_trials import OpenTrials
from blockqnn_operator.shell.agents.remote import RemoteAgent
from blockqnn_operator.shell.kubernetes.write_through import WriteThroughCache
from blockqnn_operator.shell.reconcile.finalists import FinalistMemory
from blockqnn_operator.shell.reconcile.status import WrittenStatus


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
    agent: RemoteAgent | None = None
    """The agent of the state."""
    complete: bool = False
    """The blocks of every trial that may have a Job have been proposed since the state was read."""
    finalists: FinalistMemory = field(default_factory=FinalistMemory)
    open_trials: OpenTrials | None = None
    """The open trials as last surveyed."""
    events: set[str] = field(default_factory=set)
    """Keys of the Events that were reported."""
    warnings: set[str] = field(default_factory=set)
    """Warnings of the API server about the Jobs that this process has created."""
    seen_jobs: set[str] = field(default_factory=set)
    """Names of open trials' Jobs that existed; one that no longer exists was deleted."""
    reported: BlockSearchStatus | None = None
    """The status as last computed."""
    failures: int = 0
    """Number of passes in a row that have ended with an error."""
    restored: int | None = None
    """Number of trials in the history before the API server went back to an earlier version; None
    where it has not."""
    written_status: WrittenStatus = field(default_factory=WrittenStatus)

    def forget_what_is_stored(self) -> None:
        """Forget histories, status and writes: the API server went back to an earlier version."""
        if self.state is not None:
            self.restored = len(self.state.archive)
        self.state, self.finalists.state = None, None
        self.written_status = WrittenStatus()
        self.freshest.forget_all()
        self.finalists.freshest.forget_all()

    def forget_empty_histories(self, search: SearchObject) -> None:
        """Forget histories without a trial: some may be imported while a search is suspended."""
        if self.state and not len(self.state.archive) and self.generation != search.generation:
            self.state, self.finalists.state = None, None
