"""The page of the fields that presets fill in, side by side."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from blockqnn.settings.presets import DEFAULT_PRESET, PRESETS, PURPOSES
from blockqnn_api.resolve import filled_in, resolve
from reference import markdown
from reference.markdown import code, table

_INTRODUCTION = """\
A preset fills in the fields that a search leaves out; a field that the search sets wins. These are
the values with the preset's own budget. `Efficient` and `OneGPU` derive `agent.batchSize`, the
epsilon schedule and `agent.predictor.warmup` from `budget.trials`; the other presets scale their
epsilon schedule to it. [Choose a preset](../tasks/choose-a-preset.md) says which one to take.
"""


def page() -> str:
    """Return the page."""
    purposes = [
        f"* `{name}`{' (default)' * (name == DEFAULT_PRESET)}: {PURPOSES[name]}."
        for name in sorted(PRESETS)
    ]
    values = {name: dict(_leaves(_fields(name))) for name in sorted(PRESETS)}
    paths = list(dict.fromkeys(path for fields in values.values() for path in fields))
    rows = [
        [code(path), *(code(fields.get(path, "")) for fields in values.values())] for path in paths
    ]
    return markdown.page(
        "Presets", _INTRODUCTION, "\n".join(purposes), table(["field", *values], rows)
    )


def _fields(preset: str) -> dict[str, Any]:
    return filled_in(resolve({"preset": preset, "dataset": {"name": "cifar100"}}))


def _leaves(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{name}.")
        elif name == "epsilonSchedule":
            stages = (f"{stage['epsilon']:g} x {stage['iterations']}" for stage in value)
            yield f"{path}{name}", ", ".join(stages)
        elif isinstance(value, list):
            yield f"{path}{name}", ", ".join(map(str, value))
        elif value is not None and f"{path}{name}" != "preset":
            yield f"{path}{name}", value if isinstance(value, str) else json.dumps(value)
