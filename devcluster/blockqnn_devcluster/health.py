"""Ask a server of the cluster whether it is well."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from .layout import ClusterDirectory

TIMEOUT = 2.0
"""Seconds for one question; it is asked again until the caller's deadline."""


class HealthClient:
    """Asks as the cluster's administrator. A server that cannot be reached is simply not well."""

    def __init__(self, directory: ClusterDirectory) -> None:
        certificates = directory.certificates
        self._context = ssl.create_default_context(cafile=str(certificates / "authority.crt"))
        self._context.load_cert_chain(
            certificates / "administrator.crt", certificates / "administrator.key"
        )

    def is_well(self, url: str) -> bool:
        """Tell whether a GET of the URL is answered with 200."""
        return self._get(url)[0] == http.client.OK

    def read(self, url: str) -> dict[str, Any] | None:
        """Return the JSON object at the URL, or None where there is none (yet)."""
        status, body = self._get(url)
        if status != http.client.OK:
            return None
        answer = json.loads(body)
        return answer if isinstance(answer, dict) else None

    def _get(self, url: str) -> tuple[int, bytes]:
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT, context=self._context
        )
        try:
            connection.request("GET", parts.path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


def node_is_ready(node: dict[str, Any] | None) -> bool:
    """Tell whether pods can be bound to a node: it says that it is ready, and has no taint.

    A new Node is tainted until the controller manager has seen that it is ready.
    """
    if node is None or node["spec"].get("taints"):
        return False
    conditions = node["status"].get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
