"""Parts that both dashboards have: the operators that are chosen, their starts, common looks."""

from monitoring.dashboards.grafana import ORANGE, Annotation, Json, Variable

OPERATOR = 'job=~"$job", instance=~"$instance"'
"""Matchers for the series of the chosen operators."""

OPERATOR_VARIABLES = (
    Variable("job", "Job", "label_values(blockqnn_build_info, job)"),
    Variable("instance", "Instance", 'label_values(blockqnn_build_info{job=~"$job"}, instance)'),
)

OPERATOR_STARTED = Annotation(
    "Operator started",
    f"max by (instance) (process_start_time_seconds{{{OPERATOR}}}) * 1000",
    "the operator started",
    ORANGE,
)

SMALL: Json = {"kind": "stat", "width": 4, "height": 4}
"""A single value; six of them fill a row."""

BARS: Json = {"drawStyle": "bars", "fillOpacity": 80}
STACKED: Json = {"stacking": {"mode": "normal"}}
