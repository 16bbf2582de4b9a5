"""The server of the metrics: a thread for each address, so that a scrape waits for no pass."""

import socket
import threading
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app


def serve(listener: socket.socket, registry: CollectorRegistry) -> None:
    """Serve the metrics of a registry on a socket that listens, until the process ends."""
    server = _Server(listener, make_wsgi_app(registry))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Server(ThreadingWSGIServer):
    """A server on a socket that somebody else has opened."""

    def __init__(self, listener: socket.socket, application: Any) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        # What binding a socket would set.
        self.server_address = listener.getsockname()[:2]
        self.server_name, self.server_port = host, port
        self.setup_environ()
        self.set_app(application)


class _Handler(WSGIRequestHandler):
    """Answers without a line in the log."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""
