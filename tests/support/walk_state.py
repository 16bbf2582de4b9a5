"""The state of a search in a cluster, as far as two searches with the same spec must agree."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blockqnn_api import names
from blockqnn_api.history import shards as history
from blockqnn_api.history.trial_record import read_lines

Json = dict[str, Any]

UNTOLD = {"seconds", "attempt", "message"}
"""Fields of a record that may differ: timings, attempts, names of Pods."""

TIMES = {"startTime", "completionTime", "estimatedCompletionTime", "observedGeneration", "message"}
"""Fields of the status that may differ."""

OF_KUBERNETES = ("controller-uid", "batch.kubernetes.io/")
"""Labels and annotations that Kubernetes adds to Jobs."""

REFUSALS = ("InvalidSpec", "JobRefused", "RequestRefused", "QuotaExceeded")
"""Reasons of conditions that say that the operator or the API server cannot do what a spec asks."""


HASH = re.compile(r"(NAME-prepare-)[0-9a-f]{8}")
"""The name of a preparation, with a hash of its labels, which name the search."""

OF_MOMENTS = ("job-name", names.RESULT_ANNOTATION)
"""Labels and annotations that are not there from the beginning."""

QUIET = ("AsExpected", "Unschedulable", "PodsMissing")
"""Reasons of the condition Degraded that follow each other by the clock."""


@dataclass(frozen=True)
class Seen:
    """A search and its objects, at one moment."""

    search: Json
    jobs: tuple[Json, ...]
    shards: tuple[Json, ...]

    @property
    def status(self) -> Json:
        """Its status."""
        return self.search.get("status") or {}

    @property
    def is_answered(self) -> bool:
        """True where the status is of the spec as it is now."""
        generation: int = self.search["metadata"]["generation"]
        return bool(self.status.get("observedGeneration") == generation)

    @property
    def refusal(self) -> Json | None:
        """The condition that says that the spec cannot be followed."""
        for condition in self.status.get("conditions", ()):
            if condition["status"] == "True" and condition["reason"] in REFUSALS:
                return dict(condition)
        return None

    @property
    def is_over(self) -> bool:
        """True where nothing more is expected to happen by itself."""
        over = self.status.get("phase") in ("Complete", "Failed", "Suspended")
        return self.is_answered and (over or self.refusal is not None)

    def has_reason(self, reason: str) -> bool:
        """Return whether any condition has a reason."""
        return any(c["reason"] == reason for c in self.status.get("conditions", ()))

    @cached_property
    def state(self) -> Json:
        """What must be equal: settings, results, Jobs and status, without names and times."""
        metadata = self.search["metadata"]
        state = {
            "jobs": {job["metadata"]["name"]: _job(job) for job in self.jobs},
            "history": _history(self.shards),
            "status": _status(self.status),
        }
        text = json.dumps(state, sort_keys=True)
        text = text.replace(metadata["namespace"], "NAMESPACE").replace(metadata["name"], "NAME")
        # Folders of finalists have its beginning.
        text = text.replace(metadata["uid"][:8], "UID")
        text = HASH.sub(r"\1HASH", text)
        return dict(json.loads(text))

    @property
    def without_settings(self) -> Json:
        """The state without the settings that the search began with."""
        history = {key: value for key, value in self.state["history"].items() if key != "settings"}
        return {**self.state, "history": history}


def _job(job: Json) -> Json:
    template, metadata = job["spec"]["template"], job["metadata"]
    return {
        "labels": _own(metadata.get("labels", {})),
        "annotations": _own(metadata.get("annotations", {})),
        "backoffLimit": job["spec"]["backoffLimit"],
        "suspend": job["spec"].get("suspend", False),
        "labels of Pods": _own(template["metadata"].get("labels", {})),
        "annotations of Pods": _own(template["metadata"].get("annotations", {})),
        "spec": template["spec"],
    }


def _own(entries: Mapping[str, str]) -> Json:
    return {
        key: value
        for key, value in entries.items()
        if not key.startswith(OF_KUBERNETES) and key not in OF_MOMENTS
    }


def _history(bodies: Iterable[Json]) -> Json:
    parts = [history.read_shard(body) for body in bodies]
    if not parts:
        return {}
    header, records = read_lines(history.lines(sorted(parts, key=lambda part: part.number)))
    return {
        "seed": header.seed,
        "settings": header.settings,
        "records": [record.model_dump(mode="json", exclude=UNTOLD) for record in records],
    }


def _status(status: Json) -> Json:
    kept = {key: value for key, value in status.items() if key not in TIMES}
    kept["conditions"] = [
        {key: condition[key] for key in ("type", "status", "reason")}
        for condition in status.get("conditions", ())
        # That Pods wait for a node is news only after a while.
        if condition["type"] != "Degraded" or condition["reason"] not in QUIET
    ]
    # Pods that end without a result are counted by the clock.
    kept["gpuSeconds"] = float(f"{status.get('gpuSeconds', 0.0):.2g}")
    return kept


def group(searches: Iterable[Json], jobs: Iterable[Json], shards: Iterable[Json]) -> list[Seen]:
    """Put each search together with its objects."""
    objects: dict[tuple[str, str], tuple[list[Json], list[Json]]] = {}
    for kind, bodies in enumerate((jobs, shards)):
        for body in bodies:
            metadata = body["metadata"]
            search = metadata.get("labels", {}).get(names.SEARCH_LABEL, "")
            found = objects.setdefault((metadata["namespace"], search), ([], []))
            found[kind].append(body)
    seen = []
    for search in searches:
        metadata = search["metadata"]
        own = objects.get((metadata["namespace"], metadata["name"]), ([], []))
        of_trials = [body for body in own[1] if "-history-" in body["metadata"]["name"]]
        seen.append(Seen(search, tuple(own[0]), tuple(of_trials)))
    return seen


def difference(first: Any, second: Any, path: str = "") -> str:
    """Return where two states differ first, and how; empty if they are equal."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys()):
            if inner := difference(first.get(key), second.get(key), f"{path}.{key}"):
                return inner
        return ""
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, pair in enumerate(zip(first, second, strict=True)):
            if inner := difference(*pair, f"{path}[{number}]"):
                return inner
        return ""
    if first == second:
        return ""
    if isinstance(first, str) and isinstance(second, str) and first[:1] == second[:1] == "{":
        return difference(json.loads(first), json.loads(second), path)
    return f"{path.lstrip('.')}: {_short(first)} is not {_short(second)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
