"""Fixtures of the measurements: the searches, and the trainers that KWOK plays."""

from typing import Any

from blockqnn_api import names

Json = dict[str, Any]

BATCH = 64
"""Trials of an iteration, as in the papers."""

PACE = "benchmark/pace"
"""The label of Pods that take their time."""

NODES = 4
"""Simulated nodes: enough that the scheduler has a choice."""

RESULT = """
{{ $labels := .metadata.labels }}
{{ $hash := index .metadata.annotations "blockqnn.dev/block-hash" }}
{{ $digits := regexReplaceAll "[^0-9]" (sha256sum $hash) "" | trunc 6 }}
{{ $trial := index $labels "blockqnn.dev/trial-index" | regexFind "[1-9][0-9]*$" | default "0" }}
{{ $start := (index .status.containerStatuses 0).state.running.startedAt }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      reason: Completed
      startedAt: {{ $start | Quote }}
      finishedAt: {{ Now | Quote }}
      message: '{"version":1,"trial":{{ $trial }},"attempt":0,"blockHash":"{{ $hash }}","outcome":"Succeeded","reason":"Completed","accuracy":0.{{ $digits }},"curve":[0.1,0.2,0.3,0.35,0.4,0.42,0.44,0.46,0.47,0.48,0.49,0.5],"parameters":1234567,"macs":123456789,"device":"simulated","seconds":{"start":1.0,"data":0.5,"build":0.1,"train":30.0,"evaluate":2.0,"total":33.6}}'
{{ end }}
phase: Succeeded
"""  # noqa: E501
"""The last status of a Pod: a result as large as a real one, whose accuracy is a function of the
block. A trial number loses its leading zeros, which JSON does not allow."""


def complete_stage(shortest: float, longest: float, *, paced: bool) -> Json:
    """Return KWOK's stage that ends trainers after a time, drawn evenly, in seconds.

    Args:
        shortest: the shortest time.
        longest: the longest.
        paced: whether it is for the Pods with the label :data:`PACE`, or for those without.
    """
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "pod-complete-paced" if paced else "pod-complete"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                    {"key": ".status.phase", "operator": "In", "values": ["Running"]},
                    {
                        "key": f'.metadata.labels["{PACE}"]',
                        "operator": "Exists" if paced else "DoesNotExist",
                    },
                ]
            },
            "delay": {
                "durationMilliseconds": int(shortest * 1000),
                "jitterDurationMilliseconds": int(longest * 1000),
            },
            "next": {"statusTemplate": RESULT},
        },
    }


def search(name: str, trials: int, parallelism: int, **agent: Any) -> Json:
    """Return a BlockSearch in the papers' space, whose trials need next to no processor.

    Args:
        name: its name.
        trials: its budget.
        parallelism: how many trials run at a time.
        agent: what differs from the preset.
    """
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {
            "preset": "CVPR2018",
            "dataset": {"name": "cifar100"},
            "parallelism": parallelism,
            "budget": {"trials": trials},
            "agent": {"batchSize": BATCH, "duplicates": "Redraw", **agent},
            "trial": {"resources": {"requests": {"cpu": "1m"}}},
        },
    }


def random_search(name: str, trials: int, parallelism: int) -> Json:
    """Return a search that is random to its end, so that only the operator limits it.

    No iteration waits for another, and no block comes twice: every trial is a Job. It stays so when
    the budget is raised.
    """
    stage = {"epsilon": 1.0, "iterations": -(-trials // BATCH)}
    return search(name, trials, parallelism, epsilonSchedule=[stage])


def paced() -> Json:
    """Return what a search's spec must have so that its trials take their time."""
    return {"trial": {"podTemplate": {"metadata": {"labels": {PACE: "slow"}}}}}
