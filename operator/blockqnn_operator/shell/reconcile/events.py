"""Kubernetes Events of a search, each reported once."""

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime

from blockqnn_api import names
from blockqnn_api.objects import SearchObject, write_time
from blockqnn_operator.core.planning.events import Event
from blockqnn_operator.shell.kubernetes.answers import Json
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster
from blockqnn_operator.shell.reconcile.job_writer import at_once
from blockqnn_operator.shell.reconcile.refusals import CONFLICT

logger = logging.getLogger(__name__)


async def tell(
    cluster: Cluster,
    search: SearchObject,
    events: Iterable[Event],
    now: datetime,
    reported: set[str],
) -> None:
    """Create the Kubernetes Events that were not reported yet.

    Args:
        cluster: the API server.
        search: the search that the events are about.
        events: the events.
        now: the time of the events.
        reported: the keys of the events that this process has reported; added to.
    """

    async def create(event: Event) -> None:
        body = _event_body(search, event, now)
        try:
            await cluster.create(f"/api/v1/namespaces/{search.namespace}/events", body)
        except ApiError as error:
            # An event is worth less than the search: one that is refused is only logged.
            if error.status != CONFLICT:
                logger.warning("%s: an Event was refused: %s", search.key, error)
                return
        reported.add(event.key)

    new = {event.key: event for event in events if event.key not in reported}
    await at_once(create, list(new.values()))


def _event_body(search: SearchObject, event: Event, now: datetime) -> Json:
    digest = hashlib.sha256(f"{search.uid}/{event.key}".encode()).hexdigest()[:16]
    moment = write_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{search.name}.{digest}", "namespace": search.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": search.name,
            "namespace": search.namespace,
            "uid": search.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1000],
        "source": {"component": names.FIELD_MANAGER},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
