"""Metrics: what a training measures, each declared once, with its unit.

A result of a trainer and a record of the history have every metric as a field of its own, at the
top level of their JSON, by :class:`Measured`. Tables have it as a column, and a reward may depend
on it (:data:`Metrics`). To measure something else, add a field to :class:`Measured` and let the
trainer fill it in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.alias_generators import to_camel

from blockqnn.model import Model

Metrics = Mapping[str, float]
"""What was measured, by the names of :data:`METRICS`; what was not measured is absent."""


MOST_PARAMETERS = 10**15
"""The most parameters of a network that are believed."""

MOST_MACS = 10**18
"""The most multiply-accumulates; the API server stores whole numbers below 2^63."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A quantity that a training measures."""

    title: str
    """The quantity as text for people, after its value: ``2.1M parameters``."""
    kind: type[int] | type[float]
    unit: str
    """Unit of the value; empty for a share and for a number of things."""
    better: Literal["higher", "lower"]
    """Direction of better values, all else being equal."""
    path: str = ""
    """Attribute of a result or record that has the value, with dots; default: the metric's name."""


class Measured(Model):
    """Measurements of a network beside its accuracy; a base of results and of records.

    Bases come before the fields of a class itself, and the last base first: that is the order of
    the JSON.
    """

    parameters: Annotated[
        int | None, Field(ge=0, le=MOST_PARAMETERS), Metric("parameters", int, "", "lower")
    ] = None
    """Trainable parameters of the whole network, counted on the network itself."""
    macs: Annotated[int | None, Field(ge=0, le=MOST_MACS), Metric("MACs", int, "", "lower")] = None
    """Multiply-accumulates of one image's forward pass (convolutions and the classifier)."""

    @property
    def measurements(self) -> dict[str, Any]:
        """The values of these fields by name, to hand them on to another such model."""
        return {name: getattr(self, name) for name in Measured.model_fields}

    @property
    def metrics(self) -> Metrics:
        """What was measured; what was not measured is absent."""
        values = {name: read_metric(self, name) for name in METRICS}
        return {name: value for name, value in values.items() if value is not None}


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy", float, "", "higher"),
    **{
        name: metric
        for name, field in Measured.model_fields.items()
        for metric in field.metadata
        if isinstance(metric, Metric)
    },
    "seconds": Metric("training time", float, "s", "lower", path="seconds.total"),
}
"""All metrics, by name."""


def read_metric(source: object, name: str) -> float | None:
    """Return the value of a metric in a result or a record; None if it was not measured."""
    path = METRICS[name].path or name
    value = reduce(lambda part, attribute: getattr(part, attribute, None), path.split("."), source)
    return value if isinstance(value, int | float) else None


def column_name(name: str) -> str:
    """Return the name of a metric in JSON and in tables."""
    return to_camel(name)
