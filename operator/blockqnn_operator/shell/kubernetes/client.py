"""The API server, as the operator uses it: a few verbs over plain JSON.

The official client carries the connection: kubeconfig, in-cluster credentials and their renewal.
Its models are left out, since a manifest here is data that the API server itself judges.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from kubernetes.aio import client, config

from blockqnn_api import names
from blockqnn_api.errors import OperatorError
from blockqnn_operator import __version__
from blockqnn_operator.errors import AnswerUnreadable, ClusterUnavailable
from blockqnn_operator.shell.kubernetes.answers import (
    Answer,
    Json,
    lines_of,
    read_answer,
    read_event,
    read_warnings,
)
from blockqnn_operator.shell.kubernetes.proxy import proxy_for
from blockqnn_operator.shell.kubernetes.server_clock import ServerClock
from blockqnn_operator.shell.kubernetes.site_labels import Labels, with_labels

Requested = Callable[[str, int], None]

REQUEST_TIMEOUT = 30.0
"""Seconds that one request may take: the API server itself gives up after 60."""

CONNECTIONS = 32
"""Default limit of requests in flight, watches aside; the API server's fairness queues what is
above its own limit."""

WATCH_SECONDS = 300
"""Seconds until the API server ends a watch, so that one that has died silently is noticed."""

CONNECT_SECONDS = 30.0
"""Seconds within which a watch must be connected."""

PAGE = 500
"""Objects of one page of a list."""

MERGE_PATCH = "application/merge-patch+json"


class ApiError(OperatorError):
    """The API server answered a request with a refusal."""

    def __init__(self, status: int, reason: str, message: str, request: str = "") -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status."""
        self.reason = reason
        """The API server's reason in CamelCase, such as ``AlreadyExists``."""
        self.request = request or "a request"
        """The request, such as ``create ConfigMap digits-history-0000``."""


class Cluster:
    """A connection to one API server."""

    def __init__(
        self, api: client.ApiClient, requested: Requested, connections: int = CONNECTIONS
    ) -> None:
        self._api = api
        self._requested = requested
        self.clock = ServerClock()
        self.labels: Labels = {}
        """Labels of everything that is created, besides its own."""
        self._turns = asyncio.Semaphore(connections)

    @classmethod
    async def connect(
        cls, requested: Requested = lambda _verb, _code: None, connections: int = CONNECTIONS
    ) -> "Cluster":
        """Find credentials: the service account inside a Pod, else the kubeconfig.

        Args:
            requested: called with the verb and the status of each request; 0 without an answer.
            connections: the largest number of requests in flight, watches aside.

        Raises:
            ClusterUnavailable: when there are none, or they cannot be read.
        """
        configuration = client.Configuration()
        configuration.connection_pool_maxsize = 0  # No limit: watches hold connections for long.
        try:
            try:
                config.load_incluster_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
            except config.ConfigException:
                await config.load_kube_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration
                )
        except (config.ConfigException, OSError) as error:
            raise ClusterUnavailable(
                f"There are no credentials for a cluster: {_said(error)}. Set KUBECONFIG to a "
                "kubeconfig file, or run in a Pod with a service account."
            ) from None
        configuration.proxy = proxy_for(configuration.host, configuration.proxy)
        # Else each request looks for proxies by another rule, and reads .netrc, in a thread.
        configuration.client_session_kwargs = {"trust_env": False}
        api = client.ApiClient(configuration)
        # The API server takes the name before the slash for the manager of the fields.
        api.user_agent = f"{names.FIELD_MANAGER}/{__version__}"
        return cls(api, requested, connections)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._api.configuration.host)

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy before the API server; None without one."""
        return self._api.configuration.proxy or None

    async def version(self) -> str:
        """Return the version of the API server."""
        return str((await self._request("GET", "/version"))["gitVersion"])

    async def get(self, path: str) -> Json:
        """Return an object."""
        return await self._request("GET", path)

    async def pages(self, path: str, selector: str, size: int = PAGE) -> AsyncIterator[Json]:
        """Yield the objects of a collection that a label selector matches, in pages.

        A page has ``items`` and ``metadata``, with the version from which a watch goes on.

        Args:
            path: the collection.
            selector: the label selector.
            size: the most objects of a page.
        """
        query = {"labelSelector": selector, "limit": str(size)}
        while True:
            page = await self._request("GET", path, query=query)
            metadata, items = page.get("metadata"), page.get("items")
            if not isinstance(metadata, dict) or not isinstance(items, list):
                raise AnswerUnreadable(f"{self.server} answered GET {path} with no list.")
            yield page
            token = metadata.get("continue")
            if not token:
                return
            query["continue"] = str(token)

    async def collection_version(self, path: str) -> str:
        """Return the present version of a collection, by a list of one object."""
        page = await self._request("GET", path, query={"limit": "1"})
        metadata = page.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if not isinstance(version, str):
            raise AnswerUnreadable(f"{self.server} answered GET {path} with no list.")
        return version

    async def watch(self, path: str, selector: str, version: str) -> AsyncIterator[Json]:
        """Yield what happens to the objects of a collection, until the API server ends the watch.

        Args:
            path: the collection.
            selector: the label selector of the objects that matter.
            version: the resource version after which to begin.

        Yields:
            Events: ``type`` is ADDED, MODIFIED, DELETED, or BOOKMARK, which tells a newer version
            only; ``object`` is the object.

        Raises:
            ApiError: when the watch is refused or broken off, with status 410 when the API server
                does not remember what happened after that version.
            AnswerUnreadable: when it brings something that is no event.
            ClusterUnavailable: when the connection fails.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
            "labelSelector": selector,
            "resourceVersion": version,
        }
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + 10, sock_connect=CONNECT_SECONDS)
        response = await self._send("GET", path, query=query, limit=timeout)
        try:
            if response.status >= 400:
                raise _refusal("GET", path, response.status, await self._read(response))
            lines = lines_of(response.content)
            while True:
                with self._reaching():
                    line = await anext(lines, None)
                if line is None:
                    return
                event = read_event(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    code = status.get("code")
                    raise _refusal("GET", path, code if type(code) is int else 500, status)
                yield event
        finally:
            response.close()

    async def create(self, path: str, body: Json) -> Json:
        """Create an object in a collection and return it.

        A field that Kubernetes does not know is refused; else it would be left out in silence.
        """
        labelled = with_labels(body, self.labels)
        return await self._request("POST", path, query={"fieldValidation": "Strict"}, body=labelled)

    async def replace(self, path: str, body: Json) -> Json:
        """Replace an object; refused with 409 when ``resourceVersion`` is not the current one."""
        return await self._request("PUT", path, body=with_labels(body, self.labels))

    async def patch(self, path: str, body: Json) -> Json:
        """Merge a patch into an object and return it."""
        return await self._request("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(self, path: str) -> None:
        """Delete an object; what it owns goes in the background."""
        await self._request("DELETE", path, query={"propagationPolicy": "Background"})

    async def delete_collection(self, path: str, selector: str) -> None:
        """Delete all objects of a collection that a label selector matches."""
        query = {"labelSelector": selector, "propagationPolicy": "Background"}
        await self._request("DELETE", path, query=query)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        async with self._turns:
            try:
                response = await self._send(
                    method, path, query=query, body=body, content_type=content_type
                )
                answer = await self._read(response)
            except ClusterUnavailable:
                self._requested(method, 0)
                raise
        self._requested(method, response.status)
        if response.status >= 400:
            name = ((body or {}).get("metadata") or {}).get("name", "") if method == "POST" else ""
            raise _refusal(method, f"{path}/{name}".rstrip("/"), response.status, answer)
        result = Answer(answer)
        result.warnings = read_warnings(response.headers.getall("Warning", ()))
        return result

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        limit: float | aiohttp.ClientTimeout = REQUEST_TIMEOUT,
    ) -> aiohttp.ClientResponse:
        with self._reaching():
            verb, url, headers, payload, _ = await self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = await self._api.call_api(verb, url, headers, payload, _request_timeout=limit)
            response: aiohttp.ClientResponse = answer.response
            self.clock.heard(response.headers.get("Date"))
            return response

    async def _read(self, response: aiohttp.ClientResponse) -> Json:
        with self._reaching():
            text = await response.read()
        try:
            return read_answer(text)
        except AnswerUnreadable:
            if response.status >= 400:
                return {}  # A proxy's own words; the status says enough.
            raise AnswerUnreadable(
                f"{self.server} answered {response.method} {response.url.path} with something "
                "that is no JSON object; is it a proxy that answers?"
            ) from None

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError) as error:
            raise ClusterUnavailable(
                f"The API server {self.server} cannot be reached: {_said(error)}."
            ) from error


def _refusal(method: str, path: str, status: int, answer: Json) -> ApiError:
    words = answer.get("message")
    return ApiError(
        status,
        str(answer.get("reason", "")),
        words[:1000] if isinstance(words, str) and words else f"The answer was {status}.",
        _in_words(method, path),
    )


_VERBS = {"POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete", "GET": "read"}
_KINDS = {
    **{"jobs": "Job", "pods": "Pod", "configmaps": "ConfigMap", "events": "Event"},
    names.PLURAL: names.KIND,
}


def _in_words(method: str, path: str) -> str:
    """Describe a request, such as ``change the status of BlockSearch digits``."""
    plural, _, rest = path.partition("/namespaces/")[2].partition("/")[2].partition("/")
    name, _, part = rest.partition("/")
    of_part = f"the {part} of " if part else ""
    subject = f"{_KINDS[plural]} {name}".strip() if plural in _KINDS else path
    return f"{_VERBS.get(method, method)} {of_part}{subject}"


def _said(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


def jobs_path(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's Jobs, or of one of them."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" + (f"/{name}" if name else "")


def config_maps_path(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's ConfigMaps, or of one of them."""
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")
