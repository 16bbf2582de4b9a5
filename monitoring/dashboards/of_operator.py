"""The dashboard **Operator**: whether the process is well, and what it asks of the API server."""

from monitoring.dashboards.grafana import (
    BLUE,
    GREEN,
    ORANGE,
    RED,
    Dashboard,
    Panel,
    Query,
    Row,
    by_name,
    colour,
    named_values,
    thresholds,
)
from monitoring.dashboards.operator_scope import (
    OPERATOR,
    OPERATOR_STARTED,
    OPERATOR_VARIABLES,
    SMALL,
    STACKED,
)


def rate(metric: str, *matchers: str, by: str = "") -> str:
    """Return the rate of a counter of the operator, per second, over all instances."""
    selected = f"{metric}{{{', '.join((OPERATOR, *matchers))}}}"
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate({selected}[$__rate_interval]))"


def quantiles(metric: str) -> list[Query]:
    """Return the median, the 95th and the 99th percentile of a histogram."""
    spread = rate(f"blockqnn_{metric}_bucket", by="le")
    return [
        Query(f"histogram_quantile(0.5, {spread})", "median"),
        Query(f"histogram_quantile(0.95, {spread})", "95th percentile"),
        Query(f"histogram_quantile(0.99, {spread})", "99th percentile"),
    ]


def _of_process(metric: str) -> Query:
    return Query(f"max by (instance) (process_{metric}{{{OPERATOR}}})", "{{instance}}")


def health() -> Row:
    """Return the row that answers at a glance."""
    up = named_values({"0": ("down", RED), "1": ("up", GREEN)})
    return Row(
        "Health",
        [
            Panel(
                "Operator",
                "Whether Prometheus reaches the operator.",
                [Query(f"max by (instance) (up{{{OPERATOR}}})", "{{instance}}", instant=True)],
                "none",
                defaults=up,
                **SMALL,
            ),
            Panel(
                "Version",
                "The version that runs.",
                [
                    Query(
                        f"max by (version) (blockqnn_build_info{{{OPERATOR}}})",
                        "{{version}}",
                        instant=True,
                    )
                ],
                "none",
                options={"textMode": "name", "colorMode": "none"},
                **SMALL,
            ),
            Panel(
                "Running since",
                "How long ago the process started; short again and again: it is restarted.",
                [
                    Query(
                        f"time() - max by (instance) (process_start_time_seconds{{{OPERATOR}}})",
                        "{{instance}}",
                    )
                ],
                "s",
                **SMALL,
            ),
            Panel(
                "Searches running",
                "Searches in the phase Running, in all namespaces.",
                [
                    Query(
                        "sum(max by (namespace, search) "
                        f'(blockqnn_search_phase{{{OPERATOR}, phase="Running"}}))',
                        "searches",
                        instant=True,
                    )
                ],
                "none",
                **SMALL,
            ),
            Panel(
                "Trials running",
                "Jobs in flight, all searches together.",
                [
                    Query(
                        f"sum(max by (namespace, search) (blockqnn_trials_running{{{OPERATOR}}}))",
                        "trials",
                        instant=True,
                    )
                ],
                "none",
                **SMALL,
            ),
            Panel(
                "Memory",
                "Resident memory of the process.",
                [_of_process("resident_memory_bytes")],
                "bytes",
                **SMALL,
            ),
        ],
    )


def reconcile() -> Row:
    """Return the row about the passes over the searches."""
    return Row(
        "Reconcile",
        [
            Panel(
                "Passes and errors",
                "Passes over searches per second, and those that ended with an error and are "
                "tried again.",
                [
                    Query(rate("blockqnn_reconcile_duration_seconds_count"), "passes"),
                    Query(rate("blockqnn_reconcile_errors_total"), "errors"),
                    Query(rate("blockqnn_internal_errors_total"), "faults of the operator"),
                ],
                "ops",
                width=8,
                overrides=[
                    by_name("passes", color=colour(BLUE)),
                    by_name("errors", color=colour(RED)),
                ],
            ),
            Panel(
                "Duration of a pass",
                "From looking at a search to its status being written.",
                quantiles("reconcile_duration_seconds"),
                "s",
                width=8,
            ),
            Panel(
                "Queue",
                "Searches that wait for a worker. More than a few for long: the operator, or the "
                "API server, is too slow for its searches.",
                [Query(f"max by (instance) (blockqnn_queue_depth{{{OPERATOR}}})", "{{instance}}")],
                "short",
                width=8,
                defaults={"min": 0},
            ),
        ],
    )


def latencies() -> Row:
    """Return the row about how long trials wait."""
    return Row(
        "Latencies",
        [
            Panel(
                "Launch of a trial",
                "From the creation of a Job to the start of its trainer: scheduling, pulling the "
                "image, starting the container.",
                quantiles("trial_launch_latency_seconds"),
                "s",
            ),
            Panel(
                "Collection of a result",
                "From the end of a trainer to its result being annotated on the Job. Kubernetes "
                "gives the end in whole seconds, so up to one second is rounding.",
                quantiles("result_collection_latency_seconds"),
                "s",
            ),
        ],
    )


def traffic() -> Row:
    """Return the row about the API server."""
    refused = rate("blockqnn_api_requests_total", 'code=~"0|4..|5.."')
    return Row(
        "API traffic",
        [
            Panel(
                "Requests by verb",
                "Requests to the API server per second; watches are not counted.",
                [Query(rate("blockqnn_api_requests_total", by="verb"), "{{verb}}")],
                "reqps",
                width=8,
                custom={"fillOpacity": 40, **STACKED},
            ),
            Panel(
                "Requests by answer",
                "By HTTP status; 0 had no answer. 409 and 404 are normal now and then.",
                [Query(rate("blockqnn_api_requests_total", by="code"), "{{code}}")],
                "reqps",
                width=8,
            ),
            Panel(
                "Share without success",
                "Requests that were refused or had no answer, of all.",
                [Query(f"{refused} / {rate('blockqnn_api_requests_total')}", "share")],
                "percentunit",
                width=8,
                defaults={"min": 0, **thresholds((None, GREEN), (0.05, ORANGE), (0.2, RED))},
            ),
        ],
    )


def process() -> Row:
    """Return the row about the process itself, which few need."""
    return Row(
        "Process",
        [
            Panel(
                "Resident memory",
                "It grows with the Jobs in flight and with the length of the histories.",
                [_of_process("resident_memory_bytes")],
                "bytes",
                width=8,
                defaults={"min": 0},
            ),
            Panel(
                "Processor time",
                "Seconds of processor per second; the operator uses one core at most.",
                [Query(rate("process_cpu_seconds_total", by="instance"), "{{instance}}")],
                "percentunit",
                width=8,
                defaults={"min": 0},
            ),
            Panel(
                "Open files",
                "Connections and files that the process holds, and how many it may.",
                [
                    Query(f"max(process_open_fds{{{OPERATOR}}})", "open"),
                    Query(f"max(process_max_fds{{{OPERATOR}}})", "limit"),
                ],
                "short",
                width=8,
            ),
        ],
        collapsed=True,
    )


def searches() -> Row:
    """Return the row that compares the searches."""
    return Row(
        "Searches",
        [
            Panel(
                "Trials running, by search",
                "Who uses the Jobs in flight.",
                [
                    Query(
                        f"max by (namespace, search) (blockqnn_trials_running{{{OPERATOR}}})",
                        "{{namespace}}/{{search}}",
                    )
                ],
                "short",
                custom={"fillOpacity": 40, **STACKED},
            ),
            Panel(
                "Trials ended, by search",
                "Trials per second whose outcome became known.",
                [
                    Query(
                        "sum by (namespace, search) (max by (namespace, search, outcome) "
                        f"(rate(blockqnn_trials_total{{{OPERATOR}}}[$__rate_interval])))",
                        "{{namespace}}/{{search}}",
                    )
                ],
                "ops",
            ),
        ],
        collapsed=True,
    )


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return Dashboard(
        uid="blockqnn-operator",
        title="BlockQNN / Operator",
        description="Whether the operator is well, and what it asks of the API server.",
        variables=OPERATOR_VARIABLES,
        annotations=[OPERATOR_STARTED],
        rows=[health(), reconcile(), latencies(), traffic(), process(), searches()],
        since="now-6h",
    )
