"""The dashboard **Search**: how far one search is, whether it learns, its cost, what is wrong."""

from monitoring.dashboards.grafana import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    Annotation,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    by_name,
    colour,
    named_values,
    thresholds,
)
from monitoring.dashboards.operator_scope import (
    BARS,
    OPERATOR,
    OPERATOR_STARTED,
    OPERATOR_VARIABLES,
    SMALL,
    STACKED,
)

IN_NAMESPACE = 'namespace=~"$namespace"'
SEARCH = f'{OPERATOR}, {IN_NAMESPACE}, search=~"$search"'

OUTCOMES = {"Succeeded": GREEN, "Cached": BLUE, "Infeasible": ORANGE, "Failed": RED}


def of(metric: str, *matchers: str, by: str = "") -> str:
    """Return a metric of the search, once however many operators or restarts have told it."""
    labels = f"namespace, search, {by}" if by else "namespace, search"
    return f"max by ({labels}) (blockqnn_{metric}{{{', '.join((SEARCH, *matchers))}}})"


def grown(metric: str, *matchers: str, by: str = "") -> str:
    """Return by how much a counter of the search has grown in each step of a chart."""
    labels = f"namespace, search, {by}" if by else "namespace, search"
    selected = f"blockqnn_{metric}{{{', '.join((SEARCH, *matchers))}}}"
    return f"max by ({labels}) (increase({selected}[$__rate_interval]))"


DONE = f"sum by (namespace, search) ({of('trials_total', by='outcome')})"

PHASES = {
    "Running": ("Running", BLUE),
    "Suspended": ("Suspended", ORANGE),
    "Complete": ("Complete", GREEN),
    "Failed": ("Failed", RED),
}


def now() -> Row:
    """Return the row that answers at a glance."""
    return Row(
        "Now",
        [
            Panel(
                "Phase",
                "Running, Suspended, Complete or Failed; the search's conditions say why.",
                [Query(f"{of('search_phase', by='phase')} == 1", "{{phase}}", instant=True)],
                "none",
                options={"textMode": "name", "colorMode": "none"},
                **SMALL,
            ),
            Panel(
                "Trials done",
                "Trials whose outcome is known, as a share of the budget.",
                [Query(f"{DONE} / {of('trials_budget')}", "done", instant=True)],
                "percentunit",
                kind="gauge",
                width=4,
                height=4,
                defaults={"min": 0, "max": 1, **thresholds((None, BLUE), (1, GREEN))},
            ),
            Panel(
                "Time left",
                "Until the budget is spent, at the mean rate since the start. Empty when the "
                "search is over.",
                [
                    Query(
                        f"{of('search_estimated_completion_timestamp_seconds')} - time() > 0",
                        "left",
                    )
                ],
                "s",
                **SMALL,
            ),
            Panel(
                "Best accuracy",
                "Validation accuracy of the block with the highest reward.",
                [Query(of("best_accuracy_ratio"), "best", instant=True)],
                "percentunit",
                defaults={"decimals": 2},
                **SMALL,
            ),
            Panel(
                "Epsilon",
                "The share of random choices in the present iteration: 1 explores, 0.1 exploits.",
                [Query(of("epsilon"), "epsilon", instant=True)],
                "percentunit",
                **SMALL,
            ),
            Panel(
                "GPU time",
                "Accelerator time of the trials in the history.",
                [Query(of("gpu_seconds_total"), "GPU time", instant=True)],
                "s",
                **SMALL,
            ),
        ],
    )


def learning() -> Row:
    """Return the row that shows whether the search learns."""
    return Row(
        "Is it learning?",
        [
            Panel(
                "Learning curve",
                "Mean reward of the latest iteration, the best reward so far, the mean of the "
                "random iterations to compare with, and epsilon in steps (CVPR 2018, Fig. 8). A "
                "search that learns rises above the random mean as epsilon falls.",
                [
                    Query(of("iteration_mean_reward"), "mean of the iteration"),
                    Query(of("best_reward"), "best so far"),
                    Query(of("random_mean_reward"), "mean of random blocks"),
                    Query(of("epsilon"), "epsilon"),
                ],
                "none",
                width=24,
                height=10,
                custom={"axisLabel": "reward, %"},
                overrides=[
                    by_name("mean of the iteration", color=colour(BLUE)),
                    by_name(
                        "best so far", color=colour(ORANGE), custom_lineInterpolation="stepAfter"
                    ),
                    by_name(
                        "mean of random blocks",
                        color=colour(GREY),
                        custom_lineStyle={"fill": "dash", "dash": [6, 6]},
                    ),
                    by_name(
                        "epsilon",
                        color=colour(PURPLE),
                        unit="percentunit",
                        min=0,
                        max=1,
                        custom_axisPlacement="right",
                        custom_axisLabel="epsilon",
                        custom_lineInterpolation="stepAfter",
                        custom_fillOpacity=8,
                        custom_lineWidth=1,
                    ),
                ],
            ),
            Panel(
                "Accuracy of the iteration",
                "Extremes, quartiles and median of the accuracies of the latest iteration in the "
                "history.",
                [Query(of("iteration_accuracy_ratio", by="statistic"), "{{statistic}}")],
                "percentunit",
                width=8,
                overrides=[
                    by_name("minimum", color=colour(GREY), custom_lineWidth=1),
                    by_name("lower quartile", color=colour(BLUE), custom_lineWidth=1),
                    by_name("median", color=colour(BLUE), custom_lineWidth=3),
                    by_name(
                        "upper quartile",
                        color=colour(BLUE),
                        custom_lineWidth=1,
                        custom_fillBelowTo="lower quartile",
                        custom_fillOpacity=15,
                    ),
                    by_name("maximum", color=colour(ORANGE), custom_lineWidth=1),
                ],
            ),
            Panel(
                "Length of the blocks",
                "Mean number of layers of the blocks of the latest iteration. Random blocks are "
                "short; a papers' search proposes longer ones as it learns (CVPR 2018, appendix "
                "B).",
                [Query(of("iteration_layers"), "layers")],
                "none",
                width=8,
                defaults={"min": 0},
            ),
            Panel(
                "Distribution of accuracies over time",
                "How many trials that entered the history had which accuracy; an iteration enters "
                "at once.",
                [Query(grown("trial_accuracy_ratio_bucket", by="le"), "{{le}}", format="heatmap")],
                "percentunit",
                kind="heatmap",
                width=8,
            ),
        ],
    )


def progress() -> Row:
    """Return the row about the machines and the time."""
    idle = f"clamp_min({of('parallelism')} - {of('trials_running')}, 0)"
    return Row(
        "Progress and machines",
        [
            Panel(
                "Trials ended, by outcome",
                "Trials whose outcome became known in each step.",
                [Query(grown("trials_total", by="outcome"), "{{outcome}}")],
                "short",
                custom={**BARS, **STACKED},
                overrides=[by_name(outcome, color=colour(c)) for outcome, c in OUTCOMES.items()],
            ),
            Panel(
                "Slots",
                "Trials that run, and slots of spec.parallelism that are idle. Idle slots while "
                "the search runs: it waits for the slowest block of an iteration "
                "(agent.pipelining helps), for quota, or for the operator's limit.",
                [Query(of("trials_running"), "running"), Query(idle, "idle")],
                "short",
                custom={"fillOpacity": 60, **STACKED},
                overrides=[
                    by_name("running", color=colour(GREEN)),
                    by_name("idle", color=colour(GREY)),
                ],
            ),
            Panel(
                "GPUs in use",
                "Accelerators of the Jobs that run. How busy each is, its exporter says.",
                [Query(of("gpus_in_use"), "GPUs")],
                "short",
                width=8,
                custom={"fillOpacity": 20},
                defaults={"min": 0},
            ),
            Panel(
                "Duration of trials",
                "Median and 95th percentile of the trainers' time, from start to end.",
                [
                    Query(_quantile(0.5, "trial_duration_seconds"), "median"),
                    Query(_quantile(0.95, "trial_duration_seconds"), "95th percentile"),
                ],
                "s",
                width=8,
                custom={"showPoints": "always"},
            ),
            Panel(
                "Expected end",
                "When the budget will be spent, at the mean rate so far. A line that rises as fast "
                "as time passes: nothing is coming.",
                [Query(f"{of('search_estimated_completion_timestamp_seconds')} * 1000", "end")],
                "dateTimeAsIso",
                width=8,
            ),
        ],
    )


def _quantile(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, {grown(metric + '_bucket', by='le')})"


def cost() -> Row:
    """Return the row about what the search costs."""
    # A search that asks for no finalists has no such series; they cost nothing then.
    finalists = f"{of('finalist_gpu_seconds_total')} or 0 * {of('gpu_seconds_total')}"
    cached = of("trials_total", 'outcome="Cached"')
    return Row(
        "Cost",
        [
            Panel(
                "GPU time, used and saved",
                "Accelerator time of the trials in the history, which the budget bounds; what "
                "duplicates of earlier blocks would have taken; and that of finalists.",
                [
                    Query(of("gpu_seconds_total"), "used"),
                    Query(of("gpu_seconds_saved_total"), "saved by duplicates"),
                    Query(finalists, "finalists"),
                ],
                "s",
            ),
            Panel(
                "Share of duplicates",
                "Trials that share the result of an earlier one and cost nothing, of all that "
                "ended. It rises as the agent settles.",
                [Query(f"{cached} / ({DONE} > 0)", "cached")],
                "percentunit",
                defaults={"min": 0},
            ),
        ],
    )


def failures() -> Row:
    """Return the row about what goes wrong."""
    conditions = {"0": ("false", GREY), "1": ("true", BLUE)}
    failed = of("trials_total", 'outcome="Failed"')
    return Row(
        "What goes wrong",
        [
            Panel(
                "Trials without an accuracy, by reason",
                "Infeasible blocks ran out of memory, diverged or never learned: the agent learns "
                "from them. Failed trials are the cluster's or the trainer's fault.",
                [
                    Query(
                        f"{grown('trials_without_accuracy_total', by='outcome, reason')} > 0",
                        "{{outcome}}: {{reason}}",
                    )
                ],
                "short",
                custom={**BARS, **STACKED},
                defaults={"noValue": "none"},
            ),
            Panel(
                "Failed trials and their limit",
                "The search fails when more trials have failed than failurePolicy.maxFailedTrials.",
                [Query(failed, "failed"), Query(of("failed_trials_limit"), "limit")],
                "short",
                width=6,
                overrides=[
                    by_name("failed", color=colour(ORANGE)),
                    by_name("limit", color=colour(RED)),
                ],
            ),
            Panel(
                "Retries",
                "Further attempts at trials whose trainer ended well and left no result.",
                [Query(grown("trial_retries_total"), "retries")],
                "short",
                width=6,
                custom=BARS,
            ),
            Panel(
                "Conditions",
                "Which conditions of the search were true when.",
                [Query(of("search_condition", by="condition"), "{{condition}}")],
                "none",
                kind="state-timeline",
                width=24,
                height=6,
                defaults=named_values(conditions),
            ),
        ],
    )


def dashboard() -> Dashboard:
    """Return the dashboard."""
    marks = "max by (namespace, search)"
    return Dashboard(
        uid="blockqnn-search",
        title="BlockQNN / Search",
        description="How far a BlockSearch is, whether it learns, what it costs, what is wrong.",
        variables=[
            *OPERATOR_VARIABLES,
            Variable(
                "namespace",
                "Namespace",
                f"label_values(blockqnn_search_info{{{OPERATOR}}}, namespace)",
                many=False,
            ),
            Variable(
                "search",
                "Search",
                f"label_values(blockqnn_search_info{{{OPERATOR}, {IN_NAMESPACE}}}, search)",
                many=False,
            ),
        ],
        annotations=[
            Annotation(
                "Start",
                f"{marks} (blockqnn_search_start_timestamp_seconds{{{SEARCH}}}) * 1000",
                "{{search}} started",
                GREEN,
            ),
            Annotation(
                "Completion",
                f"{marks} (blockqnn_search_completion_timestamp_seconds{{{SEARCH}}}) * 1000",
                "{{search}} is complete",
                BLUE,
            ),
            OPERATOR_STARTED,
        ],
        rows=[now(), learning(), progress(), cost(), failures()],
        since="now-24h",
    )
