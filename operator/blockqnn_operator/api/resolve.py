"""From what a user wrote to a complete search: the preset fills what was left out."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from blockqnn.contract import describe
from blockqnn.errors import InvalidSettings
from blockqnn.layers import PAPERS, check_layers
from blockqnn.limits import Limits
from blockqnn.presets import PRESETS, preset_for
from blockqnn.schedule import EpsilonStage, check_schedule, scaled
from blockqnn.strategies.filtering import check_predictor
from blockqnn_operator.api.durations import seconds
from blockqnn_operator.api.spec import DEFAULT_TRAINER_IMAGE, MOST_TRIALS, BlockSearchSpec
from blockqnn_operator.api.targets import check_finalists
from blockqnn_operator.errors import InvalidSearch

DEFAULT_PRESET = "CVPR2018"

PINNED_SECTIONS = ("space", "agent", "reward", "network", "training")
"""The sections that decide what a result means; they never change once a search has started."""

_BEFORE_PINNED: dict[str, Any] = {
    "space": {"layers": list(PAPERS)},
    "training": {"precision": "float32"},
}
"""Fields that are newer than some stored headers, with what searches did before there were such."""


def resolve(
    spec: Mapping[str, Any],
    pinned: Mapping[str, Any] | None = None,
    trainer_image: str = DEFAULT_TRAINER_IMAGE,
) -> BlockSearchSpec:
    """Fill in what a user's spec leaves out, and check the whole.

    Args:
        spec: ``spec`` of the BlockSearch, as the API server returns it.
        pinned: what :func:`pin` made of this search when it started, from its history. It wins
            over the preset, so that an upgrade which changes a preset changes no running search.
            A field that is newer than the search is what searches did before there was such a
            field; where no such value is kept here, the preset must have it.
        trainer_image: the trainer's image of a search that names none.

    Raises:
        InvalidSearch: when a field is missing, wrong, or contradicts another.
    """
    base = _from_preset(spec)
    if pinned is not None:
        base = _merge(_merge(base, _before(pinned)), pinned)
    base["trial"] = {"image": trainer_image}
    try:
        resolved = BlockSearchSpec.model_validate(_merge(base, spec))
        _check_durations(resolved)
    except ValidationError as error:
        raise InvalidSearch(f"The spec {describe(error)}.") from None
    except InvalidSettings as error:
        raise InvalidSearch(str(error)) from None
    try:
        check_finalists(resolved)
        space = resolved.space
        check_layers(space.layers, space.convolution, space.start_with_identity)
        limits_of(resolved)
        check_predictor(resolved.agent)
        if pinned is None:
            agent, trials = resolved.agent, resolved.budget.trials
            check_schedule(agent.epsilon_schedule, trials, agent.batch_size)
    except InvalidSettings as error:
        raise InvalidSearch(f"spec.{error}") from None
    return resolved


def _before(pinned: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a search does where its header is older than a field."""
    if not pinned.get("agent", {}).get("predictor"):
        return _BEFORE_PINNED
    return _merge(_BEFORE_PINNED, {"agent": {"predictor": {"mutated": 0.0}}})


def limits_of(resolved: BlockSearchSpec) -> Limits:
    """Return what the networks of a search may cost, and how often a block is stacked.

    Raises:
        InvalidSettings: when no block can be within the limits, or they cannot be counted.
    """
    return Limits(resolved.space, resolved.network, resolved.dataset.images)


def pin(resolved: BlockSearchSpec) -> dict[str, Any]:
    """Return the part of a search that its history depends on, as JSON to be stored with it."""
    whole = resolved.model_dump(mode="json")
    pinned = {section: whole[section] for section in PINNED_SECTIONS}
    pinned["dataset"] = {field: whole["dataset"][field] for field in ("imageSize", "validation")}
    # The number of trials alone decides about proposals, by the length of the schedule. Another
    # limit that the user takes away later must be gone.
    pinned["budget"] = {"trials": whole["budget"]["trials"]}
    return pinned


def _from_preset(spec: Mapping[str, Any]) -> dict[str, Any]:
    name = spec.get("preset")
    if name is None:
        name = DEFAULT_PRESET
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
    """Return a number of a spec that is not checked yet; a wrong one is bent, and refused later."""
    fields = asked[section]
    value = fields.get(field) if isinstance(fields, Mapping) else None
    return min(max(value, 1), MOST_TRIALS) if isinstance(value, int) else 1


def _check_durations(resolved: BlockSearchSpec) -> None:
    seconds(resolved.failure_policy.trial_timeout)
    seconds(resolved.failure_policy.pending_timeout)
    if resolved.budget.duration is not None:
        seconds(resolved.budget.duration)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree of maps over another; where both have a map they are merged."""
    merged = {
        key: _merge(value, {}) if isinstance(value, Mapping) else value
        for key, value in base.items()
    }
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(below, value)
        elif value is not None:
            merged[key] = value
    return merged
