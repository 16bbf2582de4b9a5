"""Kopf's settings, each with its reason."""

import itertools
import logging
from typing import Any

import kopf

from blockqnn_api import names

A_DAY = 86_400
"""Seconds that Kopf waits for an API server, before it ends the process."""


class NothingHandled(kopf.DiffBaseStorage):
    """Remembers no object as handled.

    Handlers of changes (``kopf.on.create`` and the like) cannot work with it; those of events do
    not need it.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return an empty essence: nothing of an object matters."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        """Return None: the object was not handled before."""

    def store(self, **_: Any) -> None:
        """Do nothing.

        Raises:
            NotImplementedError: always; see the class.
        """
        raise NotImplementedError("the operator has no handlers of changes; use kopf.on.event")


def operator_settings() -> kopf.OperatorSettings:
    """Return the settings of the operator's process."""
    settings = kopf.OperatorSettings()
    # The operator creates its own Events; log lines are no Events.
    settings.posting.enabled = False
    settings.posting.level = logging.WARNING
    # The operator does not look for namespaces and resources, and needs no rights to list them. It
    # waits for its own resource before it starts to watch.
    settings.scanning.disabled = True
    # The first list comes in pages.
    settings.watching.chunk_size = 500
    # A watch that has died silently is noticed: the server ends each after five minutes, the client
    # a little later, and an attempt to connect is given up after half a minute.
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 30
    settings.networking.request_timeout = 60
    # However long the API server is away, or knows nobody's rights yet, the operator waits for it.
    settings.networking.error_backoffs = (1, 1, 2, 3, 5, *itertools.repeat(10, A_DAY // 10))
    # Kopf would copy every object that it receives, to find out what has changed since it last
    # handled it: a fifth of the operator's processor time. No handler of ours asks for that.
    settings.persistence.diffbase_storage = NothingHandled()
    # No handler stores anything; were one added, it must not share another operator's names.
    settings.persistence.finalizer = f"{names.GROUP}/kopf-finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(
        prefix=f"kopf.{names.GROUP}", v1=False
    )
    return settings
