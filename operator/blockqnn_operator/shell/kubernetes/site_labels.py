"""Labels that a site wants on every object of the operator's, such as a cost centre.

Policies often require them of Jobs, Pods and ConfigMaps alike. They are laid under an object's own
labels in the one place where objects are created.
"""

from collections.abc import Mapping
from typing import Any

from blockqnn_api.pod_fields import check_metadata

Labels = Mapping[str, str]

RESERVED = ("blockqnn.dev", "kubernetes.io", "k8s.io", "x-k8s.io")
"""Ends of the prefixes of labels that have a meaning for the operator or for Kubernetes."""


def read_label(text: str) -> tuple[str, str]:
    """Read a label, written as ``KEY=VALUE``.

    Raises:
        ValueError: when it is none of Kubernetes, or has a reserved prefix.
    """
    key, equals, value = text.partition("=")
    if not equals or any(check_metadata({"labels": {key: value}}, ())):
        raise ValueError(f"{text!r} is no label; write KEY=VALUE, such as example.com/team=vision")
    domain = key.rpartition("/")[0]
    if any(domain == end or domain.endswith(f".{end}") for end in RESERVED):
        raise ValueError(f"{text!r} has a reserved prefix; use one of your own")
    return key, value


def with_labels(body: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    """Return an object with labels besides its own, and those of its Pods; its own win."""
    if not labels:
        return dict(body)
    result = {**body, "metadata": _labelled(body.get("metadata") or {}, labels)}
    template = (body.get("spec") or {}).get("template")
    if template:
        pods = {**template, "metadata": _labelled(template.get("metadata") or {}, labels)}
        result["spec"] = {**body["spec"], "template": pods}
    return result


def _labelled(metadata: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    return {**metadata, "labels": {**labels, **(metadata.get("labels") or {})}}
