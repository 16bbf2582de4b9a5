"""Reports that a pass has ended with an error: in the status, else in an Event."""

import hashlib
import logging

from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.events import Event
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.core.reporting.status import report_hindered
from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster
from blockqnn_operator.shell.reconcile.events import tell
from blockqnn_operator.shell.reconcile.state import ReconcileState
from blockqnn_operator.shell.reconcile.status import write_status

logger = logging.getLogger(__name__)


async def report_trouble(
    cluster: Cluster, observed: Observed, memory: ReconcileState, problem: Problem
) -> None:
    """Write the condition, and create an Event where the status is refused as well.

    Args:
        cluster: the API server.
        observed: the snapshot of the search.
        memory: the kept state of the search.
        problem: the reason why the pass could not go on.
    """
    search = observed.search
    status = report_hindered(observed, problem)
    try:
        await write_status(cluster, observed, status, memory.written_status, memory.events)
    except ClusterUnavailable:
        return
    except ApiError as error:
        logger.warning("%s: the status is refused: %s", search.key, error)
        digest = hashlib.sha256(problem.message.encode()).hexdigest()[:8]
        event = Event(f"{problem.reason}/{digest}", "Warning", problem.reason, problem.message)
        await tell(cluster, search, [event], observed.now, memory.events)
