"""Fields of a spec that would be accepted and then have no effect: each is refused in a sentence.

A field of `agent` has no effect with an algorithm that does not use it; each strategy declares
which ones it uses (:mod:`blockqnn.strategies`). Some fields have no effect with one value of
another field (:data:`DEPENDENCIES`). The rules of the definition are generated from the same
declarations (:mod:`blockqnn_api.definition.effect_rules`).

Only what a user writes is refused. What a preset fills in stays in the resolved settings, whether
it has an effect or not, as the headers of earlier histories have it.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

from pydantic.alias_generators import to_camel, to_snake

from blockqnn.errors import UnknownStrategy
from blockqnn.strategies.registry import BUILT_IN, CHOOSABLE, find_strategy
from blockqnn_api.errors import FieldPath, UnusedField, write_path
from blockqnn_api.finalist_targets import goals_of
from blockqnn_api.spec import BlockSearchSpec

Path = tuple[str, ...]

AGENT_FIELDS: Mapping[str, str] = {to_camel(field): field for field in sorted(CHOOSABLE)}
"""The fields of `agent` that depend on the algorithm: the name in YAML -> the name in Python."""


SWITCHED = ("predictor", "earlyTermination")
"""The maps that `enabled: false` switches off; then nothing in them counts as set."""


class Dependency(NamedTuple):
    """A field that has no effect while another one has a certain value."""

    field: Path
    """The path of the field, without `spec`."""
    other: Path
    """The path of the other field."""
    value: str | float
    """The value of the other field with which this one has no effect, in the type of its schema."""
    instead: str
    """Values of the other field with which it has an effect, as the end of a sentence."""
    default: str | None = None
    """The value that the API server fills in where the user writes none: it counts as not set."""

    def at(self, place: Path) -> "Dependency":
        """Return the same of a dataset that stands at another place of the spec."""
        return self._replace(
            field=(*place, *self.field[1:]),
            other=(*place, *self.other[1:]),
        )

    @property
    def reason(self) -> str:
        """What is wrong, as the end of a sentence that begins with the field."""
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        return f"has no effect with {'.'.join(self.other)} {value}"

    @property
    def remedy(self) -> str:
        """What to do, as the end of a sentence."""
        return f"leave it out, or set {'.'.join(self.other)} to {self.instead}"


def _without(other: str, value: str | float, instead: str, *fields: str) -> list[Dependency]:
    path = tuple(other.split("."))
    return [Dependency(tuple(field.split(".")), path, value, instead) for field in fields]


DEPENDENCIES: tuple[Dependency, ...] = (
    *_without("agent.initialization", "FirstTarget", "Constant", "agent.initialValue"),
    *_without(
        "agent.replay.updates",
        0,
        "1 or more",
        "agent.replay.sampleSize",
        "agent.replay.weighting",
        "agent.learningRate",
        "agent.discount",
        "agent.shaping",
        "agent.rewardScale",
        "agent.initialValue",
    ),
    *_without(
        "agent.predictor.candidates",
        1,
        "2 or more",
        "agent.predictor.optimism",
        "agent.predictor.keepRandom",
    ),
    *_without("agent.predictor.keepRandom", 1.0, "less than 1", "agent.predictor.optimism"),
    *_without("training.epochs", 1, "2 or more", "agent.earlyTermination"),
    *_without("training.restarts.maximum", 0, "1 or more", "training.restarts.factor"),
    *_without("dataset.validation.source", "test", "train", "dataset.validation.fraction"),
    *_without("dataset.name", "digits", "a dataset that has files", "dataset.volume"),
    Dependency(
        ("dataset", "path"), ("dataset", "name"), "digits", "a dataset that has files", "/data"
    ),
)

OF_DATASETS = tuple(dependency for dependency in DEPENDENCIES if dependency.field[0] == "dataset")
"""Those of a dataset's fields, which finalists have too."""


def unused_settings(spec: Mapping[str, Any], resolved: BlockSearchSpec) -> tuple[UnusedField, ...]:
    """Return the fields that a user has written although they have no effect.

    A map with `enabled: false` says by itself that nothing in it has an effect, and is left alone.

    Args:
        spec: the spec as the user wrote it.
        resolved: the spec with all fields filled in.

    Raises:
        UnknownStrategy: when the algorithm is not registered.
    """
    wrong = [
        *_of_algorithm(spec, resolved),
        *_of_values(spec, resolved),
        *_of_finalists(spec, resolved),
    ]
    return tuple(wrong or _of_epochs(spec, resolved))


def without_unused(fields: Mapping[str, Any], resolved: BlockSearchSpec) -> dict[str, Any]:
    """Return settings without those that have no effect, so that a user may write what is left.

    Args:
        fields: sections of the resolved spec, as JSON.
        resolved: the resolved spec. If its strategy is not installed here, all fields are left.
    """
    kept: dict[str, Any] = deepcopy(dict(fields))
    try:
        unused = unused_settings(fields, resolved)
    except UnknownStrategy:
        return kept
    for *around, name in (field.path for field in unused):
        section: Any = kept
        for step in around:
            section = section[step]
        del section[name]
    return kept


@cache
def built_in_with(field: str) -> tuple[str, ...]:
    """Return the built-in algorithms that use a field of `agent`, by its name in YAML."""
    if field == "settings":
        return tuple(name for name in BUILT_IN if BUILT_IN[name].Settings.model_fields)
    return tuple(name for name in BUILT_IN if AGENT_FIELDS[field] in BUILT_IN[name].uses)


def alternatives(names: Sequence[str]) -> str:
    """Write names as a choice: ``A``, ``A or B``, ``A, B or C``."""
    *before, last = names
    return f"{', '.join(before)} or {last}" if before else last


def _of_algorithm(spec: Mapping[str, Any], resolved: BlockSearchSpec) -> Iterator[UnusedField]:
    algorithm = resolved.agent.algorithm
    strategy = find_strategy(algorithm)
    for field, name in AGENT_FIELDS.items():
        if name not in strategy.uses and _is_set(spec, ("agent", field)):
            remedy = "leave it out"
            if names := built_in_with(field):
                remedy += f", or set agent.algorithm to {alternatives(names)}"
            yield UnusedField(("agent", field), f"has no effect with algorithm {algorithm}", remedy)
    if not strategy.Settings.model_fields and _is_set(spec, ("agent", "settings")):
        yield UnusedField(
            ("agent", "settings"),
            f"has no effect with algorithm {algorithm}, which has no settings of its own",
            "leave it out",
        )


def _of_values(spec: Mapping[str, Any], resolved: BlockSearchSpec) -> Iterator[UnusedField]:
    uses = find_strategy(resolved.agent.algorithm).uses
    reported: set[Path] = set()
    for dependency in DEPENDENCIES:
        section, field, *_ = path = dependency.field
        if path in reported or (section == "agent" and AGENT_FIELDS[field] not in uses):
            continue
        if _applies(dependency, spec, resolved):
            reported.add(path)
            yield UnusedField(path, dependency.reason, dependency.remedy)


def _of_finalists(spec: Mapping[str, Any], resolved: BlockSearchSpec) -> Iterator[UnusedField]:
    """Judge the datasets of finalists as that of the search, by the same dependencies."""
    written: Mapping[str, Any] = spec.get("finalists") or {}
    own, *others = goals_of(resolved) if written else (None,)
    if own is None:
        return
    targets = enumerate(written.get("targets") or ())
    places: list[tuple[FieldPath, Mapping[str, Any]]] = [
        (("finalists",), {"validation": written.get("validation") or {}}),
        *((("finalists", "targets", k, "dataset"), t.get("dataset") or {}) for k, t in targets),
    ]
    for (place, dataset), goal in zip(places, (own, *others), strict=True):
        for dependency in OF_DATASETS:
            if _applies(dependency, {"dataset": dataset}, goal):
                there = dependency.at((write_path(place),))
                yield UnusedField((*place, *dependency.field[1:]), there.reason, there.remedy)


def _applies(dependency: Dependency, spec: Mapping[str, Any], resolved: Any) -> bool:
    """Return whether a field is written that has no effect."""
    if _value(resolved, dependency.other) != dependency.value:
        return False
    return _is_set(spec, dependency.field, dependency.default)


def _is_set(spec: Mapping[str, Any], path: Path, default: str | None = None) -> bool:
    """Return whether a field is written, and neither it nor a map around it is switched off."""
    value: Any = spec
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
        if name in SWITCHED and isinstance(value, Mapping) and value.get("enabled") is False:
            return False
    return value is not None and value != default


def _value(resolved: BlockSearchSpec, path: Path) -> Any:
    """Return the value of a field; None if a map around it is left out."""
    value: Any = resolved
    for name in path:
        value = getattr(value, to_snake(name), None)
    return value


def _of_epochs(spec: Mapping[str, Any], resolved: BlockSearchSpec) -> Iterator[UnusedField]:
    early, path = resolved.agent.early_termination, ("agent", "earlyTermination", "epochs")
    last = max(early.epochs) if early else 0
    if last >= resolved.training.epochs > 1 and _is_set(spec, path):
        yield UnusedField(
            path,
            f"names epoch {last}, after which a training of {resolved.training.epochs} epochs "
            "cannot stop early any more",
            "name earlier epochs only, or leave it out",
        )
