"""Reads searches, their histories and what belongs to them from the cluster."""

from collections.abc import Iterator, Mapping
from typing import Any

from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable, ObjectUnreadable
from blockqnn_api.history import shards as history
from blockqnn_api.history.finalist_record import FinalistArchive, FinalistRecord
from blockqnn_api.history.shards import Shard, ShardWrite
from blockqnn_api.history.trial_record import Header, TrialRecord, read_lines
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import SearchObject, read_blocks
from blockqnn_cli.cluster import Cluster
from blockqnn_cli.errors import CommandError, Forbidden, NotFound, NothingYet
from blockqnn_cli.view import EventView, SearchView


class Searches:
    """The searches of a cluster.

    Args:
        kubeconfig: path of a kubeconfig file; None for the usual places.
        context: name of a context in it; None for the current one.

    Raises:
        ClusterUnreachable: when there is no usable kubeconfig.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        self.cluster = Cluster(kubeconfig, context)
        self._known: dict[str, tuple[int, Header | None, tuple[TrialRecord, ...]]] = {}

    def get(self, namespace: str, name: str, *, history_needed: bool = True) -> SearchView:
        """Return a search with its history.

        Args:
            namespace: the namespace of the search.
            name: the name of the search.
            history_needed: whether a history that cannot be read, or may not be, is an error; else
                the search comes without one.

        Raises:
            NotFound: when there is none of that name.
            CommandError: when the API server cannot be reached or refuses.
            HistoryUnreadable: when its history is damaged.
        """
        body = self._object(namespace, name)
        uid = str(body["metadata"]["uid"])
        header: Header | None = None
        records: tuple[TrialRecord, ...] = ()
        try:
            header, records = self._history(namespace, name, uid, body.get("status", {}))
        except (Forbidden, HistoryUnreadable):
            if history_needed:
                raise
        return SearchView(
            namespace, name, uid, body.get("spec", {}), body.get("status", {}), header, records
        )

    def _object(self, namespace: str, name: str) -> Mapping[str, Any]:
        cluster = self.cluster
        where = (names.GROUP, names.VERSION, namespace, names.PLURAL, name)
        try:
            body: Mapping[str, Any] = cluster.ask(
                cluster.objects.get_namespaced_custom_object, *where
            )
        except NotFound as error:
            # Without the definition the API server answers in plain text, without a Status.
            if "page not found" in str(error) or names.PLURAL not in str(error):
                raise NotFound(
                    f"The API server {cluster.server} does not know BlockSearches; is the "
                    "BlockQNN operator installed, and is it the right context?"
                ) from None
            raise NotFound(
                f"There is no BlockSearch {name!r} in namespace {namespace!r}; "
                "`kubectl get blocksearch -A` lists all of them."
            ) from None
        return body

    def _history(
        self, namespace: str, name: str, uid: str, status: Mapping[str, Any]
    ) -> tuple[Header | None, tuple[TrialRecord, ...]]:
        """Read the history, but not again while the status says that it has not grown."""
        stored = status.get("history", {}).get("records", -1)
        cached = self._known.get(uid)
        if cached is not None and cached[0] == stored:
            return cached[1], cached[2]
        shards = self.shards(namespace, name)
        header, records = read_lines(history.lines(shards)) if shards else (None, ())
        self._known[uid] = (len(records), header, records)
        return header, records

    def finalists(self, search: SearchView) -> tuple[FinalistRecord, ...]:
        """Return the finalists of a search that have a result.

        Raises:
            HistoryUnreadable: when their history is damaged.
        """
        shards = self.shards(search.namespace, search.name, history.FINALISTS)
        return tuple(FinalistArchive.recover(shards).records.values())

    def shards(self, namespace: str, name: str, kind: str = history.TRIALS) -> list[Shard]:
        """Return the stored ConfigMaps of a history, that of trials or finalists, in order."""
        selector = f"{names.SEARCH_LABEL}={name},{names.COMPONENT_LABEL}={kind}"
        stored = self.cluster.ask(
            self.cluster.core.list_namespaced_config_map, namespace, label_selector=selector
        )
        return sorted(map(history.read_shard, stored["items"]), key=lambda shard: shard.number)

    def events(self, search: SearchView, count: int) -> tuple[EventView, ...]:
        """Return the last Events about a search, the latest last."""
        stored = self.cluster.ask(
            self.cluster.core.list_namespaced_event,
            search.namespace,
            field_selector=f"involvedObject.uid={search.uid}",
        )
        events = [_event(item) for item in stored["items"]]
        return tuple(sorted(events, key=lambda event: event.time)[-count:])

    def latest_pod(self, search: SearchView, trial: int) -> str | None:
        """Return the name of the Pod that last trained a trial's block; None when there is none."""
        of_search = f"{names.SEARCH_LABEL}={search.name}"
        selector = f"{of_search},{names.COMPONENT_LABEL}={names.TRIAL_COMPONENT}"
        pods = self.cluster.ask(
            self.cluster.core.list_namespaced_pod, search.namespace, label_selector=selector
        )["items"]
        latest = max(
            (pod["metadata"] for pod in pods if trial in _trained_by(pod["metadata"])),
            key=lambda metadata: str(metadata["creationTimestamp"]),
            default=None,
        )
        return None if latest is None else str(latest["name"])

    def log(self, search: SearchView, pod: str, *, follow: bool) -> Iterator[str]:
        """Yield the log of a trial's Pod as it comes.

        Raises:
            NothingYet: when its container has not started.
        """
        request = self.cluster.core.read_namespaced_pod_log
        where = {"container": names.CONTAINER, "follow": follow}
        try:
            yield from self.cluster.stream(request, pod, search.namespace, **where)
        except CommandError as error:
            if "waiting to start" not in str(error) and "not found" not in str(error):
                raise
            raise NothingYet(
                f"Pod {pod} has no log yet, since its container has not started; `kubectl describe "
                f"pod {pod} -n {search.namespace}` says what it is waiting for."
            ) from None

    def object(self, namespace: str, name: str) -> SearchObject:
        """Return a search as the operator sees it.

        Raises:
            NotFound: when there is none of that name.
        """
        return SearchObject.read(self._object(namespace, name))

    def write_shard(
        self, search: SearchObject, write: ShardWrite, kind: str = history.TRIALS
    ) -> None:
        """Create a ConfigMap of a history, of trials or finalists, or replace what was read."""
        body = history.config_map(search, write, kind)
        if write.replaces is None:
            self.cluster.ask(self.cluster.core.create_namespaced_config_map, search.namespace, body)
        else:
            self.cluster.ask(
                self.cluster.core.replace_namespaced_config_map,
                body["metadata"]["name"],
                search.namespace,
                body,
            )


def _trained_by(metadata: Mapping[str, Any]) -> set[int]:
    """Return the trials whose blocks a Pod trains: nearly always one."""
    labels, annotations = (Fields(metadata).part(name) for name in ("labels", "annotations"))
    try:
        if names.BLOCKS_ANNOTATION in annotations:
            blocks = read_blocks(annotations.text(names.BLOCKS_ANNOTATION))
            return {block.trial for block in blocks}
        number = labels.written_count(names.TRIAL_LABEL)
    except ObjectUnreadable:
        return set()
    return set() if number is None else {number}


def _event(item: Mapping[str, Any]) -> EventView:
    times = (item.get(key) for key in ("lastTimestamp", "eventTime", "firstTimestamp"))
    time = next((time for time in times if time), item["metadata"].get("creationTimestamp"))
    return EventView(
        str(time), item.get("type", ""), item.get("reason", ""), item.get("message", "")
    )
