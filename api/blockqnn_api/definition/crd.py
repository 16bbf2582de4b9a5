"""The CustomResourceDefinition of BlockSearch, generated from the models.

``python -m blockqnn_api.definition.crd`` prints it; ``make generate`` writes it to ``crds/``.
"""

import sys
from typing import Any

import yaml

from blockqnn_api import names
from blockqnn_api.definition.cel_rules import RULES
from blockqnn_api.definition.schema import openapi
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_api.status import BlockSearchStatus

HEADER = "# Generated from api/blockqnn_api by `make generate`; edit the models.\n"


def custom_resource_definition() -> dict[str, Any]:
    """Return the definition as the API server takes it."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": ["nas"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(),
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": "A search for a convolutional block by Q-learning.",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": openapi(BlockSearchSpec, "spec"),
                    "status": openapi(BlockSearchStatus, "status"),
                },
                "x-kubernetes-validations": [
                    {"rule": rule.rule, "message": rule.message} for rule in RULES[""]
                ],
            }
        },
    }


def _columns() -> list[dict[str, Any]]:
    def column(name: str, path: str, kind: str = "string", priority: int = 0) -> dict[str, Any]:
        return {"name": name, "type": kind, "jsonPath": path, "priority": priority}

    return [
        column("Phase", ".status.phase"),
        column("Trials", ".status.progress"),
        column("Running", ".status.trials.running", "integer"),
        column("Best", ".status.best.accuracy", "number"),
        column("Epsilon", ".status.epsilon", "number"),
        column("Age", ".metadata.creationTimestamp", "date"),
        column("Failed", ".status.trials.failed", "integer", priority=1),
        column("Cached", ".status.trials.cached", "integer", priority=1),
        column("Finalists", ".status.finalists.progress", priority=1),
        column("Converged", ".status.best.convergedAccuracy", "number", priority=1),
        column("ETA", ".status.estimatedCompletionTime", priority=1),
        column("Message", ".status.message", priority=1),
    ]


def render() -> str:
    """Return the definition as YAML, with a first line that names its source."""
    return HEADER + yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=100)


if __name__ == "__main__":
    sys.stdout.write(render())
