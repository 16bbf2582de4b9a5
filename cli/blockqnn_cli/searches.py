"""Reads searches and their histories from the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from blockqnn.schedule import EpsilonStage
from blockqnn_cli.errors import CommandError, SearchNotFound
from blockqnn_operator.api import names
from blockqnn_operator.core import history
from blockqnn_operator.core.records import TrialRecord, read_lines


@dataclass(frozen=True, slots=True)
class SearchView:
    """A BlockSearch as it is now, with the records of its history."""

    namespace: str
    name: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    batch_size: int | None
    """Trials in an iteration; None before the search has started."""
    schedule: tuple[EpsilonStage, ...]
    """The epsilon schedule; empty before the search has started."""
    records: tuple[TrialRecord, ...]


class Searches:
    """The searches of the cluster that the current context of the kubeconfig names.

    Args:
        kubeconfig: path of a kubeconfig file; None for the usual places.

    Raises:
        CommandError: when there is no usable kubeconfig.
    """

    def __init__(self, kubeconfig: str | None = None) -> None:
        try:
            configuration = client.Configuration()
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, client_configuration=configuration
            )
        except (config.ConfigException, OSError) as error:
            raise CommandError(
                f"There is no usable kubeconfig: {error}; set KUBECONFIG or use --kubeconfig."
            ) from None
        # A command that a person waits for fails soon rather than retrying for minutes.
        configuration.retries = False
        self._server = configuration.host
        self._raw = client.ApiClient(configuration)
        self._objects = client.CustomObjectsApi(self._raw)
        self._core = client.CoreV1Api(self._raw)

    def get(self, namespace: str, name: str) -> SearchView:
        """Return a search.

        Raises:
            SearchNotFound: when there is none of that name.
            CommandError: when the API server cannot be reached or refuses.
        """
        try:
            body: Any = self._objects.get_namespaced_custom_object(
                names.GROUP, names.VERSION, namespace, names.PLURAL, name
            )
            selector = f"{names.SEARCH_LABEL}={name},{names.COMPONENT_LABEL}=history"
            stored = self._core.list_namespaced_config_map(namespace, label_selector=selector)
        except client.ApiException as error:
            if error.status == 404:
                raise SearchNotFound(
                    f"There is no BlockSearch {name!r} in namespace {namespace!r}; "
                    "`kubectl get blocksearch -A` lists those there are."
                ) from None
            raise CommandError(
                f"The API server {self._server} refused the request: {error.reason}."
            ) from None
        except HTTPError as error:
            raise CommandError(
                f"The API server {self._server} cannot be reached: {error}"
            ) from None
        raw: list[Any] = self._raw.sanitize_for_serialization(  # type: ignore[no-untyped-call]
            stored.items
        )
        shards = [history.read_shard(item) for item in raw]
        batch_size, schedule, records = _read(sorted(shards, key=lambda shard: shard.number))
        return SearchView(
            namespace,
            name,
            body.get("spec", {}),
            body.get("status", {}),
            batch_size,
            schedule,
            records,
        )


_History = tuple[int | None, tuple[EpsilonStage, ...], tuple[TrialRecord, ...]]


def _read(shards: list[history.Shard]) -> _History:
    if not shards:
        return None, (), ()
    header, records = read_lines(history.lines(shards))
    agent = header.settings["agent"]
    schedule = tuple(EpsilonStage.model_validate(stage) for stage in agent["epsilonSchedule"])
    return int(agent["batchSize"]), schedule, records
