"""Validation of a BlockSearch by the API server: manifests, dry runs, and what they answer."""

import json
from subprocess import CompletedProcess
from typing import Any

from blockqnn_api.definition.cel_rules import RULES
from blockqnn_devcluster import DevCluster

Spec = dict[str, Any]


def nested(field: str, value: Any) -> Spec:
    """The spec in which one field, given by its path, has a value."""
    for name in reversed(field.split(".")):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def manifest(spec: Spec, name: str = "search") -> str:
    dataset = {"name": "digits", **spec.get("dataset", {})}
    return json.dumps(
        {
            "apiVersion": "blockqnn.dev/v1alpha1",
            "kind": "BlockSearch",
            "metadata": {"name": name},
            "spec": {**spec, "dataset": dataset},
        }
    )


class Server:
    """The API server, asked what it thinks of a search."""

    def __init__(self, cluster: DevCluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def _ask(self, *arguments: str, text: str | None = None) -> CompletedProcess[str]:
        return self._cluster.kubectl(
            *arguments, "-n", self._namespace, "--dry-run=server", input=text, check=False
        )

    def create(self, text: str) -> CompletedProcess[str]:
        return self._ask("create", "-o", "json", "-f", "-", text=text)

    def change(self, search: str, spec: Spec) -> CompletedProcess[str]:
        patch = json.dumps({"spec": spec})
        return self._ask("patch", "blocksearch", search, "--type=merge", "-p", patch)


def accepted(answer: CompletedProcess[str]) -> bool:
    assert answer.returncode == 0, answer.stderr
    return True


def refusal(answer: CompletedProcess[str]) -> str:
    assert answer.returncode != 0, answer.stdout
    return answer.stderr


def message_of(path: str, field: str) -> str:
    (message,) = [
        rule.message for rule in RULES[path] if rule.message.startswith(f"{field} cannot change")
    ]
    return message
