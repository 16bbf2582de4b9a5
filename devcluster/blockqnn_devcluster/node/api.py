"""The node's connection to the API server: plain JSON objects, as they come and go.

It uses the transport of `kubernetes.aio` without its models: those refuse what they do not know,
and a node has to read every pod that the API server accepts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration

Object = dict[str, Any]

REQUEST_WITHIN = 10.0
"""Seconds for one request; the server is on the same machine."""
WATCH_LASTS = 300
"""Seconds until the server ends a watch, which is then taken up where it ended."""
MERGE_BY_KEY = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server answered with an error, or not at all (status 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status = status


class Api:
    """Requests as the node, by its client certificate."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._server: str = client.configuration.host

    @classmethod
    async def connect(cls, server: str, certificates: Path) -> Api:
        """Prepare connections as the node; the server need not run yet.

        Certificate and key are files that lie there anyway. From a kubeconfig, the library would
        write the key to a temporary file, which a killed node would leave behind.
        """
        configuration = Configuration(host=server)
        configuration.ssl_ca_cert = str(certificates / "authority.crt")
        configuration.cert_file = str(certificates / "node-client.crt")
        configuration.key_file = str(certificates / "node-client.key")
        # The server is on loopback: whatever proxy the environment names is not for it.
        configuration.proxy = None
        configuration.client_session_kwargs = {"trust_env": False}
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str, **query: str) -> Object:
        """Read an object or a list."""
        return await self._request("GET", path, query)

    async def create(self, path: str, body: Object) -> Object:
        """Create an object in the collection at the path."""
        return await self._request("POST", path, {}, body)

    async def patch(self, path: str, body: Object) -> Object:
        """Merge a change into an object; lists with keys are merged by their keys."""
        return await self._request("PATCH", path, {}, body, MERGE_BY_KEY)

    async def delete(self, path: str, body: Object) -> Object:
        """Delete an object; the body holds options and preconditions."""
        return await self._request("DELETE", path, {}, body)

    async def watch(self, path: str, version: str, **query: str) -> AsyncIterator[Object]:
        """Yield the events after a resource version, until the server ends the watch.

        Raises `ApiError`: 410 where the version is too old, so that the caller lists again.
        """
        query = {
            **query, "watch": "true", "resourceVersion": version,
            "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_LASTS),
        }  # fmt: skip
        # A connection that went silent must not be waited for longer than the watch would last.
        patience = aiohttp.ClientTimeout(total=None, sock_read=WATCH_LASTS + REQUEST_WITHIN)
        response = await self._send("GET", path, query, None, "application/json", patience)
        try:
            while line := await response.content.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    failure = event["object"]
                    raise ApiError(failure.get("code", 500), failure.get("message", ""))
                yield event
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise ApiError(0, f"the watch of {path} broke off: {error}") from error
        finally:
            response.close()

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | None = None,
        content: str = "application/json",
    ) -> Object:
        patience = aiohttp.ClientTimeout(total=REQUEST_WITHIN)
        response = await self._send(method, path, query, body, content, patience)
        try:
            answer = await response.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        return answer if isinstance(answer, dict) else {}

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | None,
        content: str,
        patience: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        url = f"{self._server}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": content, "Accept": "application/json"}
        try:
            answer = await self._client.call_api(
                method, url, headers, body, _request_timeout=patience
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiError(0, f"{self._server} cannot be reached: {error}") from error
        response: aiohttp.ClientResponse = answer.response
        if response.status >= 400:
            text = await response.text()
            with suppress(ValueError):
                text = json.loads(text).get("message", text)
            raise ApiError(response.status, f"{method} {path}: {text}")
        return response
