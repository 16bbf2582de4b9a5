"""Resolution of a user's spec to a complete search: the preset fills in the missing fields."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from blockqnn.block.layer_types import PAPERS, check_layers
from blockqnn.contract.message import describe
from blockqnn.errors import InvalidSettings, UnknownStrategy
from blockqnn.settings.epsilon_schedule import EpsilonStage, check_schedule, scaled
from blockqnn.settings.presets import DEFAULT_PRESET, PRESETS, predictor_warmup, preset_for
from blockqnn.space.constraints.limits import Limits
from blockqnn.strategies.checks import check_agent
from blockqnn.strategies.registry import find_strategy, own_settings
from blockqnn.surrogate.early_termination import stopping_epochs
from blockqnn_api.durations import seconds
from blockqnn_api.errors import InvalidSearch, UnusedFields
from blockqnn_api.finalist_targets import check_finalists, check_stages
from blockqnn_api.free_form import check_depth
from blockqnn_api.mount_paths import check_mount_paths
from blockqnn_api.spec import DEFAULT_TRAINER_IMAGE, MOST_TRIALS, BlockSearchSpec
from blockqnn_api.unused_settings import unused_settings, without_unused

PINNED_SECTIONS = ("space", "agent", "reward", "network", "training")
"""The sections that a result depends on; they never change once a search has started."""

_EARLIER_DEFAULT = "CVPR2018"
"""The default preset of the versions whose headers do not name the preset."""

_EARLIER_PRESETS = ("AAAI2017", "CVPR2018", "MetaQNN")
"""The presets that may fill in the fields that a header of those versions lacks. Since then their
values have changed only in fields that every such header has, or that `_BEFORE_PINNED` names."""

_BEFORE_PINNED: dict[str, Any] = {
    "space": {"layers": list(PAPERS), "startWithIdentity": False},
    "agent": {"predictor": None, "earlyTermination": None, "initialization": "Constant"},
    "training": {"precision": "float32"},
}
"""Fields that are newer than some stored headers, with the values that searches used before."""


def resolve(
    spec: Mapping[str, Any],
    pinned: Mapping[str, Any] | None = None,
    trainer_image: str = DEFAULT_TRAINER_IMAGE,
) -> BlockSearchSpec:
    """Fill in the fields that a user's spec leaves out, and check the result.

    Args:
        spec: ``spec`` of the BlockSearch, as the API server returns it.
        pinned: the result of :func:`pin` when this search started, from its history. It wins
            over the preset, so that an upgrade which changes a preset changes no running search.
            A field that is newer than the search has the value that searches used before the
            field existed; where no such value is kept here, a preset that is no newer must have it.
        trainer_image: the trainer's image of a search that names none.

    A search that has started was checked then: fields of its spec that have no effect, and a
    strategy that is not installed here, are no errors any more.

    Raises:
        InvalidSearch: when a field is missing, wrong, contradicts another, or has no effect.
    """
    check_depth(spec)
    name = preset_of(spec, pinned)
    base = _from_preset(name, spec)
    if pinned is not None:
        base = _with_pinned(base, name, spec, pinned)
    base["trial"] = {"image": trainer_image}
    asked = {**_merge(base, spec), "preset": name}
    asked["agent"] = _fitted(asked, spec, pinned)
    try:
        resolved = BlockSearchSpec.model_validate(asked)
    except ValidationError as error:
        raise InvalidSearch(f"The spec {describe(error)}.") from None
    try:
        _check_durations(resolved)
        check_finalists(resolved)
        check_mount_paths(resolved, begun=pinned is not None)
        space = resolved.space
        check_layers(space.layers, space.convolution, space.start_with_identity)
        limits_of(resolved)
        return resolved if pinned is not None else _checked_at_start(resolved, spec)
    except InvalidSettings as error:
        raise InvalidSearch(f"spec.{error}") from None


def _checked_at_start(resolved: BlockSearchSpec, spec: Mapping[str, Any]) -> BlockSearchSpec:
    """Check the agent of a search that has not started, and complete its strategy's settings."""
    if unused := unused_settings(spec, resolved):
        raise UnusedFields(unused)
    own = own_settings(resolved.agent)
    check_agent(resolved.agent)
    agent = resolved.agent.model_copy(update={"settings": own.model_dump(mode="json")})
    check_schedule(agent.epsilon_schedule, resolved.budget.trials, agent.batch_size)
    check_stages(resolved)
    return resolved.model_copy(update={"agent": agent})


def preset_of(spec: Mapping[str, Any], pinned: Mapping[str, Any] | None = None) -> str:
    """Return the name of a search's preset, which is not checked.

    Args:
        spec: ``spec`` of the BlockSearch.
        pinned: the settings in its history's header; None before it has started.
    """
    default = DEFAULT_PRESET if pinned is None else _EARLIER_DEFAULT
    named: str | None = (pinned or {}).get("preset", spec.get("preset"))
    return default if named is None else named


def limits_of(resolved: BlockSearchSpec) -> Limits:
    """Return the limits on the cost of a search's networks, and the repeats of a block.

    Raises:
        InvalidSettings: when no block can be within the limits, or they cannot be counted.
    """
    return Limits(resolved.space, resolved.network, resolved.dataset.images)


def pin(resolved: BlockSearchSpec) -> dict[str, Any]:
    """Return the part of a search that its history depends on, as JSON to be stored with it."""
    fields = resolved.model_dump(mode="json")
    pinned = {field: fields[field] for field in ("preset", *PINNED_SECTIONS)}
    pinned["dataset"] = {field: fields["dataset"][field] for field in ("imageSize", "validation")}
    # The number of trials alone decides about proposals, by the length of the schedule. Another
    # limit that the user takes away later must be gone.
    pinned["budget"] = {"trials": fields["budget"]["trials"]}
    return pinned


def filled_in(resolved: BlockSearchSpec) -> dict[str, Any]:
    """Return the part of a search that a preset fills in, as JSON for people to read.

    It is complete but for the fields that have no effect with the others.
    """
    budget = resolved.model_dump(mode="json", include={"budget"}, exclude_none=True)
    return without_unused(pin(resolved) | budget, resolved)


def _with_pinned(
    base: dict[str, Any], name: str, spec: Mapping[str, Any], pinned: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay the settings a search began with over its preset; a null there is a value like others."""
    if "preset" not in pinned and name not in _EARLIER_PRESETS:
        # The preset has changed since. What it set then is in the header; what is not there is
        # newer, and was as in the papers.
        earlier = _from_preset(_EARLIER_DEFAULT, spec)
        base = base | {section: earlier[section] for section in PINNED_SECTIONS}
    before = _BEFORE_PINNED
    if pinned.get("agent", {}).get("predictor"):
        before = _merge(before, {"agent": {"predictor": {"mutated": 0.0}}})
    return _merge(_merge(base, before, nulls=True), pinned, nulls=True)


def _fitted(
    asked: Mapping[str, Any], spec: Mapping[str, Any], pinned: Mapping[str, Any] | None
) -> Any:
    """Return the agent with the fields that depend on others, where the user leaves them out.

    The preset's predictor is left out if the agent that the user asks for cannot have one, and
    values begin at a constant if the user names one, or the agent has no other. A search that
    has started keeps the settings it began with.
    """
    agent = asked.get("agent")
    if not isinstance(agent, Mapping):
        return agent
    fitted, written = dict(agent), spec.get("agent")
    own = written if isinstance(written, Mapping) else {}
    predictor, early = fitted.get("predictor"), fitted.get("earlyTermination")
    if own.get("predictor") is None and not _can_predict(fitted):
        fitted["predictor"] = None
    elif isinstance(predictor, Mapping) and predictor.get("warmup") is None:
        warmup = predictor_warmup(_count(asked, "budget", "trials"))
        fitted["predictor"] = {**predictor, "warmup": warmup}
    if own.get("initialization") is None and pinned is None:
        is_named = own.get("initialValue") is not None
        if is_named or agent.get("state") != "LastLayer":
            fitted["initialization"] = "Constant"
    if isinstance(early, Mapping) and not _says_when(own.get("earlyTermination")):
        kept = early.get("epochs") if pinned is not None else None
        epochs = kept or stopping_epochs(_count(asked, "training", "epochs"))
        fitted["earlyTermination"] = {**early, "epochs": epochs} if epochs else None
    return fitted


def _can_predict(agent: Mapping[str, Any]) -> bool:
    return agent.get("duplicates") == "Redraw" and _uses_predictor(agent.get("algorithm"))


def _uses_predictor(algorithm: Any) -> bool:
    """Return whether an algorithm has a predictor; True if it is wrong or unknown here."""
    try:
        return not isinstance(algorithm, str) or "predictor" in find_strategy(algorithm).uses
    except UnknownStrategy:
        return True


def _says_when(early: Any) -> bool:
    return isinstance(early, Mapping) and early.get("epochs") is not None


def _from_preset(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(name, str) or name not in PRESETS:
        raise InvalidSearch(
            f"spec.preset is {name!r}; the presets are {', '.join(sorted(PRESETS))}."
        )
    budget = spec.get("budget")
    has_budget = isinstance(budget, Mapping) and isinstance(budget.get("trials"), int)
    trials = _count(spec, "budget", "trials") if has_budget else None
    base: dict[str, Any] = _merge(preset_for(name, trials), {})
    stages = [EpsilonStage.model_validate(stage) for stage in base["agent"]["epsilonSchedule"]]
    batch_size = _count(_merge(base, spec), "agent", "batchSize")
    preset_trials = sum(stage.iterations for stage in stages) * batch_size
    base.setdefault("budget", {"trials": preset_trials})
    iterations = -(-_count(_merge(base, spec), "budget", "trials") // batch_size)
    base["agent"]["epsilonSchedule"] = [
        stage.model_dump(mode="json") for stage in scaled(stages, iterations)
    ]
    return base


def _count(asked: Mapping[str, Any], section: str, field: str) -> int:
    """Return a number of a spec that is not checked yet, clipped; a wrong one is refused later."""
    fields = asked[section]
    value = fields.get(field) if isinstance(fields, Mapping) else None
    return min(max(value, 1), MOST_TRIALS) if isinstance(value, int) else 1


def _check_durations(resolved: BlockSearchSpec) -> None:
    policy, finalists = resolved.failure_policy, resolved.finalists
    durations = {
        "failurePolicy.trialTimeout": policy.trial_timeout,
        "failurePolicy.pendingTimeout": policy.pending_timeout,
        "budget.duration": resolved.budget.duration,
        "finalists.timeout": finalists.timeout if finalists else None,
    }
    for field, text in durations.items():
        try:
            seconds(text or "1s")
        except InvalidSettings as error:
            raise InvalidSettings(f"{field}: {error}") from None


def _merge(
    base: Mapping[str, Any], over: Mapping[str, Any], *, nulls: bool = False
) -> dict[str, Any]:
    """Lay one tree of maps over another; where both have a map they are merged.

    Args:
        base: the tree below.
        over: the tree on top.
        nulls: True if a null on top counts; else it means that the field is left out.
    """
    merged = {
        key: _merge(value, {}) if isinstance(value, Mapping) else value
        for key, value in base.items()
    }
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(below, value, nulls=nulls)
        elif value is not None or nulls:
            merged[key] = value
    return merged
