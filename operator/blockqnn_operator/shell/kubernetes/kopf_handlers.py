"""Kopf's handlers: the objects that it watches, and what each change sets off.

There is only a plain event handler: it leaves no annotation, finalizer or status of Kopf's own on
any object. The reconcile decides; a handler only names the search to look at. It is asynchronous:
Kopf runs any other kind in threads.
"""

import logging
from collections.abc import Callable
from typing import Any

import kopf

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.objects import SearchObject
from blockqnn_operator.shell.kubernetes.informer import Key

logger = logging.getLogger(__name__)


def register(
    registry: kopf.OperatorRegistry,
    changed: Callable[[Key, SearchObject | None], None],
) -> None:
    """Register the handlers.

    Args:
        registry: the registry of the handlers.
        changed: called with each search as it is now; None when it is gone.
    """

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def search_changed(event: Any, body: Any, **_: Any) -> None:
        try:
            search = SearchObject.read(body)
        except ObjectUnreadable as error:
            logger.warning("a %s is ignored: %s.", names.KIND, error)
            return
        gone = event["type"] == "DELETED"
        changed((search.namespace, search.name), None if gone else search)
