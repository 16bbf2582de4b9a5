"""A lean client for the measurements: it must cost the machine as little as possible."""

import asyncio
import json
import re
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

Json = dict[str, Any]

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""Asks a watch for objects without spec and status."""

VERSION = re.compile(rb'"resourceVersion":"(\d+)"')
"""The version of a watched object, which is the first of the line that has one."""

BUFFER = 2**21
"""The longest line of a watch, in bytes: an object is at most 1.5 MiB."""


def read_kubeconfig(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the server of a kubeconfig with embedded certificates, and how to talk to it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with NamedTemporaryFile() as pair:
        pair.write(b64decode(user["client-certificate-data"]))
        pair.write(b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return cluster["server"], context


class Api:
    """An API server, as the user of a kubeconfig with embedded certificates."""

    def __init__(self, kubeconfig: Path) -> None:
        self.server, self._context = read_kubeconfig(kubeconfig)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        self._session = aiohttp.ClientSession(
            self.server,
            connector=connector,
            read_bufsize=BUFFER,
            timeout=aiohttp.ClientTimeout(total=None, connect=30),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Json | None = None, **query: str) -> Json:
        """Send a request and return the answer.

        Raises:
            RuntimeError: when the API server refuses it.
        """
        answer: Json = json.loads(await self._text(method, path, body, query))
        return answer

    async def metrics(self) -> str:
        """Return what the API server tells Prometheus."""
        return await self._text("GET", "/metrics", None, {})

    async def merge(self, path: str, patch: Json) -> Json:
        """Merge a patch into an object and return it."""
        headers = {"Content-Type": "application/merge-patch+json"}
        answer: Json = json.loads(await self._text("PATCH", path, patch, {}, headers))
        return answer

    async def replace(self, path: str, field: str, value: Json, **query: str) -> Json:
        """Replace a field of an object, by its JSON pointer, and return the object."""
        headers = {"Content-Type": "application/json-patch+json"}
        patch = [{"op": "replace", "path": field, "value": value}]
        answer: Json = json.loads(await self._text("PATCH", path, patch, query, headers))
        return answer

    async def _text(
        self,
        method: str,
        path: str,
        body: Json | list[Json] | None,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> str:
        async with self._session.request(
            method, path, json=body, params=query, headers=headers
        ) as response:
            text = await response.text()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path} was answered {response.status}: {text}")
            return text

    @asynccontextmanager
    async def additions(
        self, path: str, note: Callable[[], None], *, fields: str = "", labels: str = ""
    ) -> AsyncIterator[None]:
        """Call a function for each object that comes to match the selectors, from now on.

        The lines of the watch are not parsed: their first bytes say what they are. An error of the
        watch is raised at the end.
        """
        version = (await self.request("GET", path, limit="1"))["metadata"]["resourceVersion"]
        query = {"watch": "1", "fieldSelector": fields, "labelSelector": labels}

        async def follow(version: str) -> None:
            while True:
                # A busy API server ends the watches that lag behind; they go on where they were.
                async with self._session.get(
                    path,
                    params={**query, "resourceVersion": version},
                    headers={"Accept": METADATA_ONLY},
                ) as response:
                    response.raise_for_status()
                    async for line in response.content:
                        if line.startswith(b'{"type":"ADDED"'):
                            note()
                        elif line.startswith(b'{"type":"ERROR"'):
                            raise RuntimeError(f"The watch of {path} broke: {line.decode()}")
                        match = VERSION.search(line)
                        version = match[1].decode() if match else version

        task = asyncio.create_task(follow(version))
        try:
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
