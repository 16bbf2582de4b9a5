"""Kopf's connection to the API server: what Kopf cannot read never reaches it.

Kopf ends the process at an answer that is no JSON, at an error in a watch, and at an object that is
nested more deeply than Python reads. It goes on with a watch from a version that the API server may
never have had, after its data were restored. It asks once whether the resource exists, and then
watches nothing for ever where an API server that has just started does not know it yet. So each
answer passes through here: objects are cut at some depth, a watch that ends, for whatever reason,
makes Kopf list anew, and an answer that leaves out the resource is none.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import aiohttp
import kopf

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import Fields
from blockqnn_operator.errors import AnswerUnreadable
from blockqnn_operator.shell.kubernetes.answers import (
    DEEPEST,
    Json,
    lines_of,
    read_answer,
    read_event,
)
from blockqnn_operator.shell.kubernetes.informer import Key

LIST_ANEW = b'{"type":"ERROR","object":{"code":410}}\n'
"""The event by which an API server says that it no longer knows a version; Kopf lists anew then."""

PAUSE_SECONDS = 1.0
"""Seconds before a new attempt after an answer that is none: a proxy may answer so for long."""

DISCOVERY = {"/apis": names.API_VERSION, f"/apis/{names.API_VERSION}": names.PLURAL}
"""The paths by which Kopf looks for the resource when it starts, and what each must announce."""

Listed = Callable[[str, set[Key]], None]

logger = logging.getLogger(__name__)


def open_session(info: kopf.ConnectionInfo, listed: Listed) -> kopf.AiohttpSession:
    """Open the session that Kopf uses; its last user closes it.

    Args:
        info: the credentials.
        listed: called with each complete list of searches: its namespace, empty for all, and the
            searches that exist.
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        response_class=_response_class(listed),
    )
    return kopf.AiohttpSession(
        server=info.server,
        default_namespace=info.default_namespace,
        priority=info.priority,
        expiration=info.expiration,
        aiohttp_session=session,
    )


def _response_class(listed: Listed) -> type[aiohttp.ClientResponse]:
    pages: dict[str, set[Key]] = {}
    """The searches of lists that are not complete yet, by their paths."""

    class Response(aiohttp.ClientResponse):
        """An answer of the API server that Kopf can read."""

        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.status < 400 and "watch" in self.url.query:
                self.content = _Events(self.content)  # type: ignore[assignment]
            name = _to_announce(self.url.path) if self.status in (200, 404) else ""
            if name and f'"{name}"'.encode() not in await self.read():
                # Kopf asks again after such an error.
                raise aiohttp.ClientConnectionError(f"{self.url.path} does not announce {name} yet")
            return self

        async def json(self, **_: Any) -> Any:
            try:
                answer = read_answer(await self.read(), DEEPEST)
                return self._of_list(answer) if "items" in answer else answer
            except AnswerUnreadable as error:
                if self.status >= 400:
                    raise json.JSONDecodeError(str(error), "", 0) from None
                logger.warning("%s: %s", self.url.path, error)
                await asyncio.sleep(PAUSE_SECONDS)
                raise aiohttp.ClientPayloadError(str(error)) from None

        def _of_list(self, answer: Json) -> Json:
            """Return a page of a list without the objects that have no name."""
            items = [item for item in _items_of(answer) if _key_of(item)]
            path = self.url.path
            keys = pages.setdefault(path, set()) if "continue" in self.url.query else set()
            pages[path] = keys | {key for item in items if (key := _key_of(item))}
            if not answer["metadata"].get("continue") and path.endswith(f"/{names.PLURAL}"):
                listed(_namespace_of(path), pages.pop(path))
            return {**answer, "items": items}

    return Response


class _Events:
    """The events of a watch, as Kopf reads them from the body of an answer."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        """Return what the answer itself asks of its body, such as the end of it."""
        return getattr(self._content, name)

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        """Yield a line for each event, and at the end the one by which Kopf lists anew."""
        try:
            async for line in lines_of(self._content):
                event = read_event(line, DEEPEST)
                if event["type"] == "ERROR":
                    break
                if event["type"] == "BOOKMARK" or _key_of(event["object"]):
                    yield json.dumps(event).encode() + b"\n"
        except AnswerUnreadable as error:
            logger.warning("watching %s: %s", names.PLURAL, error)
            await asyncio.sleep(PAUSE_SECONDS)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.debug("watching %s: %s", names.PLURAL, error)
        yield LIST_ANEW


def _to_announce(path: str) -> str:
    """Return what an answer to this path must name; empty where nothing is looked for there."""
    return next((name for end, name in DISCOVERY.items() if path.endswith(end)), "")


def _items_of(answer: Json) -> Iterable[Any]:
    items, metadata = answer["items"], answer.get("metadata")
    if not isinstance(items, list) or not isinstance(metadata, dict):
        raise AnswerUnreadable("A list is none.")
    if not isinstance(metadata.get("resourceVersion"), str):
        raise AnswerUnreadable("A list has no version.")
    return items


def _key_of(body: Any) -> Key | None:
    """Return namespace and name of an object; None, and a word in the log, where it has none."""
    try:
        metadata = Fields(body).part("metadata")
        return metadata.text("namespace"), metadata.text("name", None)
    except ObjectUnreadable as error:
        logger.warning("a %s is ignored: %s.", names.KIND, error)
        return None


def _namespace_of(path: str) -> str:
    """Return the namespace of a list; empty when it is of all namespaces."""
    return path.partition("/namespaces/")[2].partition("/")[0]
