"""Metrics that Prometheus scrapes of a real search."""

from searching import CUSTOM_TRAINER, search_manifest


def test_metrics_follow_a_search_and_survive_a_restart(searching, eventually):
    searching.apply(search_manifest(**CUSTOM_TRAINER))
    eventually(searching.is_over, within=60)
    namespace, counts = searching.namespace, searching.status()["trials"]
    before = searching.operator.metrics()
    outcomes = {labels[1]: value for labels, value in before["blockqnn_trials_total"].items()}
    assert outcomes == {
        "Succeeded": counts["succeeded"],
        "Infeasible": counts["infeasible"],
        "Failed": 0,
        "Cached": counts["cached"],
    }
    of_search = (namespace, "search")
    best = searching.status()["best"]
    assert before["blockqnn_best_accuracy_ratio"] == {of_search: best["accuracy"]}
    assert before["blockqnn_trials_budget"] == {of_search: 8}
    assert before["blockqnn_trials_running"] == {of_search: 0}
    assert before["blockqnn_search_phase"][(namespace, "Complete", "search")] == 1
    assert before["blockqnn_reconcile_duration_seconds_count"][()] > 0
    assert before["blockqnn_reconcile_errors_total"][()] == 0
    trained = counts["succeeded"] + counts["infeasible"]
    assert before["blockqnn_result_collection_latency_seconds_count"][()] == trained
    assert before["blockqnn_api_requests_total"][("201", "POST")] >= trained

    searching.operator.stop()
    searching.operator.start()
    eventually(lambda: "blockqnn_trials_total" in scrape(searching))
    assert searching.operator.metrics()["blockqnn_trials_total"] == before["blockqnn_trials_total"]

    searching.kubectl("delete", "bs", "search")
    eventually(lambda: "blockqnn_trials_total" not in scrape(searching))
    assert "blockqnn_build_info" in scrape(searching)


def scrape(searching):
    """The metrics, or none while the operator starts."""
    try:
        return searching.operator.metrics()
    except OSError:
        return {}
