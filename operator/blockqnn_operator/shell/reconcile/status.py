"""Writes the status of a search, as rarely as people can bear."""

from dataclasses import dataclass, replace
from datetime import datetime

from blockqnn_api import names
from blockqnn_api.objects import SearchObject, version_of
from blockqnn_api.status import BlockSearchStatus, Phase
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.events import transitions
from blockqnn_operator.core.reporting.conditions import previous_status
from blockqnn_operator.core.reporting.status import dump
from blockqnn_operator.shell.kubernetes.answers import Json
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster
from blockqnn_operator.shell.kubernetes.write_through import UNSEEN_SECONDS
from blockqnn_operator.shell.reconcile.events import tell
from blockqnn_operator.shell.reconcile.refusals import NOT_FOUND

STATUS_SECONDS = 1.0
"""The shortest time between two status writes of a search that only counts on: people and
``kubectl get --watch`` need no more, and each write goes to every watcher."""


@dataclass(slots=True)
class WrittenStatus:
    """The status of a search as this process last wrote it."""

    body: Json | None = None
    version: int = 0
    """The resource version of the search after that write."""
    at: datetime | None = None

    def over(self, search: SearchObject, now: datetime) -> SearchObject:
        """Return a search with this status, unless the watch has reported the write already.

        After some seconds the watch is right: somebody may have restored an earlier state.
        """
        if self.body is None or self.at is None or search.version >= self.version:
            return search
        if (now - self.at).total_seconds() > UNSEEN_SECONDS:
            return search
        return replace(search, status=self.body)


async def write_status(
    cluster: Cluster,
    observed: Observed,
    status: BlockSearchStatus,
    written: WrittenStatus,
    reported: set[str],
) -> float | None:
    """Write the status if it has changed, and the Events of its conditions.

    Args:
        cluster: the API server.
        observed: the snapshot that the status was made from.
        status: the status.
        written: the status as last written; brought up to date.
        reported: the keys of the Events that this process has reported; added to.

    Returns:
        The seconds to wait if it is too early to write.
    """
    search, body = observed.search, dump(status)
    if body == search.status:
        return None
    before = previous_status(observed)
    settled = before is not None and (
        (before.phase, _summary(before)) == (status.phase, _summary(status))
    )
    if settled and written.at is not None:
        age = (observed.now - written.at).total_seconds()
        if age < STATUS_SECONDS and status.phase is Phase.RUNNING:
            return STATUS_SECONDS - age
    written.version = await _put(cluster, search, body)
    written.body, written.at = body, observed.now
    events = transitions(before.conditions if before else (), status)
    await tell(cluster, search, events, observed.now, reported)
    return None


async def _put(cluster: Cluster, search: SearchObject, body: Json) -> int:
    """Replace the whole status; a merge patch would leave fields behind that are gone now.

    Returns:
        The search's resource version after the write; 0 when the search is gone.
    """
    gone = {field: None for field in search.status if field not in body}
    try:
        answer = await cluster.patch(f"{search_path(search)}/status", {"status": gone | body})
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return 0
    return version_of(answer)


def search_path(search: SearchObject) -> str:
    """Return the path of a BlockSearch."""
    return (
        f"/apis/{names.GROUP}/{names.VERSION}/namespaces/{search.namespace}"
        f"/{names.PLURAL}/{search.name}"
    )


def _summary(status: BlockSearchStatus) -> set[tuple[str, str, str]]:
    return {(c.type, c.status, c.reason) for c in status.conditions}
