"""What Kopf watches for the operator, and what each change sets off.

Only a plain event handler: it leaves no annotation, finalizer or status of Kopf's own on any
object. Deciding is left to the reconcile; a handler only says which search to look at. It is
asynchronous: Kopf runs any other kind in threads.
"""

from collections.abc import Callable
from typing import Any

import kopf

from blockqnn_operator.api import names
from blockqnn_operator.core.observation import SearchObject
from blockqnn_operator.shell.slots import Key


def register(
    registry: kopf.OperatorRegistry,
    changed: Callable[[Key, SearchObject | None], None],
) -> None:
    """Register what Kopf watches.

    Args:
        registry: where.
        changed: told of each search as it is now; None when it is gone.
    """

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def search_changed(event: Any, body: Any, **_: Any) -> None:
        search = SearchObject.read(body)
        gone = event["type"] == "DELETED"
        changed((search.namespace, search.name), None if gone else search)
