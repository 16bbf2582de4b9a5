"""Connects to the API server, and explains its refusals to people."""

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import yaml
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from blockqnn_cli.errors import ClusterUnreachable, CommandError, Forbidden, NotFound

TIMEOUTS = (5.0, 30.0)
"""Seconds to connect and to wait for an answer: a person is waiting too."""

LONGEST_SILENCE = 86_400.0
"""Seconds to wait for the next piece of a stream: a trainer may be silent for a whole epoch."""


class Cluster:
    """The cluster that a context of the kubeconfig names.

    Args:
        kubeconfig: path of a kubeconfig file; None for the usual places.
        context: name of a context; None for the current one.

    Raises:
        ClusterUnreachable: when there is no usable kubeconfig.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        configuration = client.Configuration()
        try:
            contexts, current = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
                config_file=kubeconfig
            )
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, context=context, client_configuration=configuration
            )
        except (config.ConfigException, OSError, TypeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise ClusterUnreachable(
                f"There is no usable kubeconfig: {reason}. Set KUBECONFIG or use --kubeconfig."
            ) from None
        # A command that a person waits for fails soon rather than retrying for minutes.
        configuration.retries = False
        chosen = next((entry for entry in contexts if entry["name"] == context), current)
        self.namespace: str = chosen["context"].get("namespace") or "default"
        """The namespace of the context, as kubectl takes it."""
        self.server: str = configuration.host
        self._api = client.ApiClient(configuration)
        # The API server takes the name before the slash for the manager of the fields.
        self._api.user_agent = f"kubectl-blockqnn/{version('blockqnn')}"
        self.objects = client.CustomObjectsApi(self._api)
        self.core = client.CoreV1Api(self._api)
        self.batch = client.BatchV1Api(self._api)

    def ask(self, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Make a request and return its answer as JSON.

        Raises:
            NotFound: when there is no such object.
            Forbidden: when the API server refuses this user.
            ClusterUnreachable: when it does not answer.
            CommandError: when it refuses the request for another reason.
        """
        options.setdefault("_request_timeout", TIMEOUTS)
        with self._told():
            answer = request(*arguments, **options)
        return self._api.sanitize_for_serialization(answer)  # type: ignore[no-untyped-call]

    def stream(self, request: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[str]:
        """Make a request and yield its answer as text, piece by piece as it comes.

        Raises:
            CommandError: as :meth:`ask` does.
        """
        timeouts = (TIMEOUTS[0], LONGEST_SILENCE)
        with self._told():
            answer = request(
                *arguments, **options, _preload_content=False, _request_timeout=timeouts
            )
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            for part in answer.stream(decode_content=True):
                yield decoder.decode(part)
            yield decoder.decode(b"", final=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors of the client library into errors that a person can act on."""
        try:
            yield
        except client.ApiException as error:
            raise explained(error.status, error.body, error.reason, self.server) from None
        except (HTTPError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise ClusterUnreachable(
                f"The API server {self.server} does not answer: {innermost(error)}. Is the cluster "
                "running, and is it the right context?"
            ) from None


def explained(status: int | None, body: Any, reason: Any, server: str) -> CommandError:
    """Return an error that explains a refusal of the API server to the person who asked."""
    said = _message(body) or str(reason or "it gave no reason")
    if status == 401:
        return Forbidden(
            f"The API server {server} does not know this user (401 Unauthorized); log in again."
        )
    if status == 403:
        return Forbidden(
            f"The API server {server} refuses this: {said}. Ask an administrator of the cluster "
            "for permission."
        )
    if status == 404:
        return NotFound(f"The API server {server} has no such object: {said}.")
    return CommandError(f"The API server {server} refused the request ({status}): {said}.")


def _message(body: Any) -> str:
    """Read the sentence in the Status that the API server sends with a refusal."""
    try:
        return str(json.loads(body)["message"]).rstrip(".")
    except (TypeError, ValueError, KeyError):
        return ""


def innermost(error: BaseException) -> str:
    """Return the text of an exception without the objects that libraries write before it."""
    text = " ".join(str(error).split()).rstrip(".")
    return text.rsplit(">: ", 1)[-1].rsplit("object at 0x", 1)[-1] if text else repr(error)
