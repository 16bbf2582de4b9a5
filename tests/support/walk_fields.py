"""Values for every field of a BlockSearch: its boundaries, what lies beyond, and wrong types.

Everything follows from the schema of the definition, so that a new field is walked without a word
here. Only what the schema does not say is listed: what a field needs around it to have an effect,
and values of texts and of the parts whose fields Kubernetes defines.
"""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from null_fields import SCHEMA, Path, fields

Spec = dict[str, Any]

HOST = {"hostPath": {"path": "/images"}}

BASE: Spec = {
    "dataset": {"name": "digits"},
    "budget": {"trials": 4},
    "agent": {"batchSize": 2},
    "trial": {"resources": {"requests": {"cpu": "1m"}}},
}
"""A search of two iterations by the default preset, which any node can train."""

FINALISTS: Spec = {"finalists": {"count": 1, "volume": HOST, "parallelism": 4}}

SCALE = {"shortSide": [36, 48], "crop": 32, "testShortSide": 36}

SURROUNDINGS: Mapping[str, Spec] = {
    "agent.evolution": {"agent": {"algorithm": "Evolution"}},
    "agent.initialValue": {"agent": {"initialization": "Constant"}},
    "agent.earlyTermination": {"agent": {"earlyTermination": {"enabled": True}}},
    "agent.epsilonSchedule.0": {"agent": {"epsilonSchedule": [{"epsilon": 0.5, "iterations": 2}]}},
    "space.adaptiveRepeats": {"space": {"constraints": {"maxMacs": 10**9}}},
    "dataset.path": {"dataset": {"name": "npz", "volume": HOST}},
    "dataset.volume": {"dataset": {"name": "npz"}},
    "dataset.imageSize": {"dataset": {"name": "imagefolder", "volume": HOST}},
    "dataset.shape": {
        "dataset": {
            "name": "imagefolder",
            "volume": HOST,
            "shape": {"channels": 3, "height": 32, "width": 32, "classes": 10},
        },
        "space": {"constraints": {"maxMacs": 10**9}},
    },
    "budget.gpuHours": {"trial": {"accelerators": 1}},
    "finalists": FINALISTS,
    "finalists.network.stem": {"finalists": {"recipe": "imagenet"}},
    "finalists.training.augmentation.scale.": {
        "finalists": {"training": {"augmentation": {"scale": SCALE}}}
    },
    "finalists.targets.0.dataset": {
        "finalists": {"targets": [{"name": "t", "dataset": {"name": "cifar10"}}]}
    },
    "finalists.targets.0.dataset.imageSize": {
        "finalists": {"targets": [{"name": "t", "dataset": {"name": "imagefolder"}}]}
    },
    "finalists.targets.0.dataset.path": {
        "finalists": {"targets": [{"name": "t", "dataset": {"name": "npz", "volume": HOST}}]}
    },
    "finalists.targets.0.dataset.volume": {
        "finalists": {"targets": [{"name": "t", "dataset": {"name": "npz"}}]}
    },
    "finalists.targets.0.count": {"finalists": {"count": 3}},
    "trial.blocksPerJob": {"agent": {"batchSize": 8}, "budget": {"trials": 8}},
    "finalists.targets.0": {"finalists": {"targets": [{"name": "t"}]}},
    "finalists.targets.0.training.augmentation.scale.": {
        "finalists": {"targets": [{"name": "t", "training": {"augmentation": {"scale": SCALE}}}]}
    },
}
"""What a field, and each below it, needs in the spec to have an effect; with a dot at the end,
those below it alone."""

TEXTS = ("", "x", "two words", "\x00", "ünïcode🦊", "../../etc", "a" * 600)

DURATIONS = (
    "1s",
    "1h30m",
    "999999h",
    "1000000h",
    "0s",
    "90",
    "1.5h",
    "-1h",
    "soon",
    "9" * 15 + "h",
)

WRITTEN: Mapping[str, tuple[Any, ...]] = {
    "budget.duration": DURATIONS,
    "failurePolicy.trialTimeout": DURATIONS,
    "failurePolicy.pendingTimeout": DURATIONS,
    "finalists.timeout": DURATIONS,
    "agent.algorithm": ("QLearning", "RandomSearch", "Evolution", "evolution", "NoSuch", *TEXTS),
    "trial.image": ("trainer:1", "a/b@sha256:" + "0" * 64, "UPPER:1", *TEXTS),
    "dataset.path": ("/images", "/", "/tmp", "relative", "/a/../b", *TEXTS),
    "finalists.path": ("/models", "/", "/tmp", "relative", "/a/../b", *TEXTS),
    "finalists.targets.0.dataset.path": ("/images", "/", "/tmp", "relative", *TEXTS),
    "finalists.targets.0.name": ("a", "a-b", "A", "-a", "a" * 32, "a" * 33, *TEXTS),
}
"""Values of texts."""

VOLUMES: tuple[Any, ...] = (
    {"persistentVolumeClaim": {"claimName": "images"}},
    {"hostPath": {"path": "/others", "type": "Directory"}},
    {"nfs": {"server": "files.example", "path": "/"}},
    {"persistantVolumeClaim": {"claimName": "images"}},
    {"persistentVolumeClaim": {}},
    {"persistentVolumeClaim": {"claimName": 5}},
    {"hostPath": "here"},
    {"emptyDir": {}, "hostPath": {"path": "/"}},
)

NESTED: Any = {"a": 1}
for _ in range(45):
    NESTED = {"a": NESTED}

POD_SPECS: tuple[Any, ...] = (
    {"nodeSelector": {"kubernetes.io/os": "linux"}},
    {"tolerations": [{"key": "gpu", "operator": "Exists"}]},
    {"containers": [{"name": "trainer", "env": [{"name": "A", "value": "1"}]}]},
    {"containers": [{"name": "sidecar", "image": "sidecar:1"}]},
    {"terminationGracePeriodSeconds": 60},
    {"tolerationz": []},
    {"nodeSelector": {"pool": 5}},
    {"containers": "trainer"},
    {"containers": [{"name": "trainer", "resourcez": {}}]},
    {"containers": [{"image": "nameless:1"}]},
    {"restartPolicy": "Always"},
    {"priorityClassName": "none-such"},
    {"volumes": [{"name": "a", "persistantVolumeClaim": {"claimName": "b"}}]},
    {"securityContext": {"runAsUser": "root"}},
    {"activeDeadlineSeconds": 10**30},
    NESTED,
)

RESOURCES: tuple[Any, ...] = (
    {"limits": {"cpu": 1, "memory": "1Gi"}},
    {"requests": {"cpu": "1m"}, "limits": {"nvidia.com/gpu": 0}},
    {"limitz": {"cpu": 1}},
    {"limits": {"cpu": "abc"}},
    {"limits": {"cpu": "-1"}},
    {"limits": {"cpu": "1e400"}},
    {"limits": {"memory": "9" * 60}},
    {"limits": {"bad name": 1}},
    {"requests": {"cpu": 2}, "limits": {"cpu": 1}},
    {"limits": {"cpu": []}},
)

LABELS: tuple[Any, ...] = (
    {"team": "a"},
    {"example.com/team": ""},
    {"blockqnn.dev/search": "another"},
    {"bad key!": "a"},
    {"team": "a" * 64},
    {"team": 1},
    {f"label-{number}": "a" for number in range(65)},
)

FREE_FORM: Mapping[str, tuple[Any, ...]] = {
    "dataset.volume": VOLUMES,
    "finalists.volume": VOLUMES,
    "finalists.targets.0.dataset.volume": VOLUMES,
    "trial.podTemplate.spec": POD_SPECS,
    "trial.resources": RESOURCES,
    "finalists.resources": RESOURCES,
    "trial.podTemplate.metadata.labels": LABELS,
    "trial.podTemplate.metadata.annotations": LABELS,
    "agent.settings": ({"anything": 1}, NESTED),
}


@dataclass(frozen=True)
class Case:
    """A field with a value."""

    path: Path
    value: Any

    @property
    def field(self) -> str:
        """The field's path, as messages write it, but for indices."""
        return ".".join(str(step) for step in self.path)

    @property
    def name(self) -> str:
        """The innermost name of the path, which every refusal has."""
        return [step for step in self.path if isinstance(step, str)][-1]

    @property
    def title(self) -> str:
        """The field and the value, in short."""
        text = json.dumps(self.value)
        return f"{self.field}={text if len(text) < 60 else f'{text[:50]}... ({len(text)})'}"

    @property
    def has_choice(self) -> bool:
        """Whether the field has more than one value, and is none that holds other fields."""
        schema = _schema_of(self.path)
        holds_others = "properties" in schema or "properties" in schema.get("items", {})
        return not holds_others and len(schema.get("enum", "ab")) > 1

    @cached_property
    def spec(self) -> Spec:
        """A spec with the value."""
        spec = copy.deepcopy(self.without)
        node: Any = spec
        for step, following in itertools.pairwise(self.path):
            if isinstance(node, list) and not node:
                node.append({})
            elif isinstance(node, dict):
                node.setdefault(step, [] if following == 0 else {})
            node = node[step]
        if self.path[-1] == 0:
            node[:] = [self.value]
        else:
            node[self.path[-1]] = self.value
        return spec

    @cached_property
    def without(self) -> Spec:
        """The same spec without the field, or with the value that it must have."""
        spec = BASE
        for place, more in SURROUNDINGS.items():
            if f"{self.field}.".startswith(place if place.endswith(".") else f"{place}."):
                spec = _merged(spec, more)
        return copy.deepcopy(spec)


def cases() -> Iterator[Case]:
    """Yield every field with every value."""
    for path in fields():
        seen: list[str] = []
        for value in _values(_schema_of(path), ".".join(str(step) for step in path)):
            # 1, 1.0 and true are equal, and are three values.
            text = json.dumps(value)
            if text not in seen:
                seen.append(text)
                yield Case(path, value)


def _values(schema: Mapping[str, Any], field: str) -> Iterator[Any]:
    yield from schema.get("enum", ())
    yield from WRITTEN.get(field, ())
    yield from FREE_FORM.get(field, ())
    match schema.get("type"):
        case "integer":
            low, high = schema["minimum"], schema["maximum"]
            yield from (low, high, low - 1, high + 1, 2**63, 1.5, "1", True)
        case "number":
            low, high = schema["minimum"], schema["maximum"]
            yield from (low, high, low + 1e-9, high - 1e-9, low - 1e-9, high + 1e-6)
            yield from (1.7e308, "0.5", True)
        case "boolean":
            yield from (True, False, "true", 1)
        case "string":
            yield from (1, True, [], {})
            if "enum" in schema:
                first = schema["enum"][0]
                yield from (first.swapcase(), f"{first} ", "")
        case "array":
            yield from _lists(schema)
        case "object":
            yield from ([], "text")
            if not schema.get("minProperties") and field not in ("finalists", "dataset"):
                yield {}
            yield {"zzUnknown": 1}
    yield None


def _lists(schema: Mapping[str, Any]) -> Iterator[Any]:
    items = schema["items"]
    yield from ([], {"a": 1}, "text", [None])
    if items.get("type") == "object":
        return
    fewest, most = schema.get("minItems", 0), schema.get("maxItems", 64)
    scalars = [value for value in _values(items, "") if value is not None]
    for value in scalars:
        yield [value] * max(fewest, 1)
    good = next(v for v in scalars if isinstance(v, int | str) and not isinstance(v, bool))
    yield [good] * most
    yield [good] * (most + 1)
    yield [good, *scalars[1:3]]


def _schema_of(path: Path) -> Mapping[str, Any]:
    schema = SCHEMA
    for step in path:
        schema = schema["items"] if step == 0 else schema["properties"][step]
    return schema


def _merged(base: Any, more: Any) -> Any:
    """Lay a part of a spec over another; of lists, the first items are laid over each other."""
    if isinstance(base, dict) and isinstance(more, dict):
        common = base.keys() & more.keys()
        return {**base, **more} | {key: _merged(base[key], more[key]) for key in common}
    if isinstance(base, list) and isinstance(more, list) and base and more:
        return [_merged(base[0], more[0]), *base[1:]]
    return more
