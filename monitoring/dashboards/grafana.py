"""Grafana's dashboards as values: panels, variables and annotations to JSON. Pure.

The field names are those of Grafana's dashboard JSON, schema version 39, which Grafana 10.3 and
later read. Only what the project uses of them is here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 39
COLUMNS = 24
"""The width of Grafana's grid."""

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}

GREEN, ORANGE, RED, BLUE, PURPLE, GREY = "green", "orange", "red", "blue", "purple", "#808a98"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are named."""

    expression: str
    legend: str = ""
    instant: bool = False
    """Only the latest value matters."""
    format: str = "time_series"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; its place is found by the row that it is in."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    defaults: Json = field(default_factory=dict)
    """Further fields of ``fieldConfig.defaults``."""
    custom: Json = field(default_factory=dict)
    """Fields of ``fieldConfig.defaults.custom``: how a chart is drawn."""
    options: Json = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()

    def body(self, identity: int, x: int, y: int) -> Json:
        """Return the panel's JSON at a place of the grid."""
        options, custom = _LOOKS.get(self.kind, ({}, {}))
        return {
            "id": identity,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {
                "defaults": {"unit": self.unit, "custom": custom | self.custom} | self.defaults,
                "overrides": list(self.overrides),
            },
            "options": options | self.options,
            "targets": [_target(place, query) for place, query in enumerate(self.queries)],
            "transformations": list(self.transformations),
        }


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True}

_LOOKS: Mapping[str, tuple[Json, Json]] = {
    "timeseries": (
        {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
        {"lineWidth": 2, "fillOpacity": 0, "showPoints": "never", "spanNulls": True},
    ),
    "stat": (
        {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
        },
        {},
    ),
    "gauge": (
        {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}},
        {},
    ),
    "heatmap": (
        {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Blues", "steps": 32},
            "yAxis": {"unit": "percentunit", "axisPlacement": "left"},
            "tooltip": {"mode": "single", "yHistogram": True},
            "legend": {"show": False},
        },
        {},
    ),
    "state-timeline": (
        {"showValue": "never", "mergeValues": True, "rowHeight": 0.8, "legend": _LEGEND},
        {"fillOpacity": 75, "lineWidth": 0},
    ),
    "table": ({"showHeader": True, "cellHeight": "sm"}, {}),
}
"""Default appearance of each kind of panel: options, and ``custom`` fields."""


def _target(place: int, query: Query) -> Json:
    return {
        "refId": chr(ord("A") + place),
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": query.instant,
        "range": not query.instant,
        "format": query.format,
    }


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a title, laid out from left to right."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice of label values at the top of the dashboard."""

    name: str
    label: str
    query: str
    many: bool = True
    """True if several values, or all, can be chosen."""

    def body(self) -> Json:
        """Return the variable's JSON."""
        everything = {"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}}
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": DATASOURCE,
            "query": {"query": self.query, "refId": f"{self.name}-variable"},
            "definition": self.query,
            "refresh": 2,
            "sort": 1,
            "multi": self.many,
            "includeAll": self.many,
        } | (everything if self.many else {})


@dataclass(frozen=True, slots=True)
class Annotation:
    """Moments that are marked in every chart; the expression's values are the moments, in ms."""

    name: str
    expression: str
    title: str
    colour: str

    def body(self) -> Json:
        """Return the annotation's JSON."""
        return {
            "name": self.name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": self.colour,
            "expr": self.expression,
            "step": "60s",
            "titleFormat": self.title,
            "useValueForTime": "on",
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A whole dashboard."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    annotations: Sequence[Annotation]
    rows: Sequence[Row]
    since: str

    def body(self) -> Json:
        """Return the dashboard's JSON."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["blockqnn"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "links": [_RELATED],
            "templating": {"list": [_DATASOURCES, *(one.body() for one in self.variables)]},
            "annotations": {"list": [one.body() for one in self.annotations]},
            "panels": _laid_out(self.rows),
        }


_RELATED: Json = {
    "type": "dashboards",
    "title": "Related dashboards",
    "tags": ["blockqnn"],
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
    "targetBlank": False,
}

_DATASOURCES: Json = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
}


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    """Place the panels of each row below the one before."""
    bodies: list[Json] = []
    identity, y = 1, 0
    for row in rows:
        header: Json = {
            "id": identity,
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        identity, y = identity + 1, y + 1
        placed: list[Json] = []
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            placed.append(panel.body(identity, x, y))
            identity, x, height = identity + 1, x + panel.width, max(height, panel.height)
        y += height
        if row.collapsed:
            header["panels"] = placed
            bodies.append(header)
        else:
            bodies += [header, *placed]
    return bodies


def by_name(name: str, **properties: Any) -> Json:
    """Return an override of the series of a name; ``custom_x`` stands for ``custom.x``."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [
            {"id": key.replace("custom_", "custom."), "value": value}
            for key, value in properties.items()
        ],
    }


def colour(name: str) -> Json:
    """Return a fixed colour."""
    return {"mode": "fixed", "fixedColor": name}


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Return fields that colour a value by the highest step that it reaches."""
    listed = [{"value": value, "color": name} for value, name in steps]
    return {"thresholds": {"mode": "absolute", "steps": listed}}


def named_values(names: Mapping[str, tuple[str, str]]) -> Json:
    """Return fields that show text and a colour in place of values."""
    options = {
        value: {"text": text, "color": name, "index": place}
        for place, (value, (text, name)) in enumerate(names.items())
    }
    return {"mappings": [{"type": "value", "options": options}]}
