"""The page of the Prometheus metrics, from the operator's own objects."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.metrics.search import INFO_LABELS, LABELS, SearchFamilies
from reference import markdown
from reference.markdown import code, codes, table

_INTRODUCTION = """\
`blockqnn-operator --metrics-port 9090` serves the metrics at `/metrics`.
[Monitoring](../tasks/monitor.md) shows how to scrape them, and the dashboards and alerts.
"""

_OF_SEARCHES = """\
## Metrics of each search

The operator derives these at each scrape from the history and the open trials. So a restarted
operator reports the same values, no counter goes back, and a deleted search leaves no series
behind. Each has the labels `namespace` and `search`; none is labelled by trial. All series of a
search exist from the first pass over it, at zero; a value that is not known yet has no series. A
search has about a hundred series, most of them buckets and reasons.
"""

_OF_THE_OPERATOR = """\
## Metrics of the operator

The process counts these as things happen, from zero at each start. On Linux, the operator also
exports the process metrics of Prometheus' clients: `process_resident_memory_bytes`,
`process_cpu_seconds_total`, `process_open_fds`, `process_start_time_seconds` and others.
"""

_NOTES = """\
## The share of duplicates

Trials that cost nothing, because an earlier trial means the same network:

```promql
blockqnn_trials_total{outcome="Cached"}
  / ignoring(outcome) sum without (outcome) (blockqnn_trials_total)
```

## When a counter can go back

Never while the operator runs. If somebody deletes a Job after its trial ended and before the
iteration is in the history, the trial is trained again. A running operator continues to count that
trial. An operator that starts at that moment does not know of it, and counts it when it ends
again. A search that is deleted and created again is a new search, and starts at zero.
"""


def page() -> str:
    """Return the page."""
    return markdown.page(
        "Metrics",
        _INTRODUCTION,
        _OF_SEARCHES,
        table(_HEADER, _rows(SearchFamilies())),
        _OF_THE_OPERATOR,
        table(_HEADER, _rows(_of_the_operator())),
        _NOTES,
    )


_HEADER = ("metric", "type", "labels", "meaning")


def _of_the_operator() -> list[Metric]:
    metrics = Metrics(lambda: (), lambda: 0, CollectorRegistry())
    names_of_searches = {family.name for family in SearchFamilies()}
    return [
        family
        for family in metrics.registry.collect()
        if family.name.startswith("blockqnn_") and family.name not in names_of_searches
    ]


def _rows(families: Iterable[Metric]) -> list[list[str]]:
    rows = []
    for family in sorted(families, key=lambda family: family.name):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        kind = "gauge" if family.type == "info" else family.type
        labels = codes(_labels(family))
        rows.append([code(family.name + suffix), kind, labels, family.documentation])
    return rows


def _labels(family: Metric) -> list[str]:
    """Return the labels of a family besides those that all searches have."""
    names = list(getattr(family, "_labelnames", ()))
    for sample in family.samples:
        names += [name for name in sample.labels if name != "le"]
    if family.name == "blockqnn_search":
        names += INFO_LABELS
    return [name for name in dict.fromkeys(names) if name not in LABELS]
