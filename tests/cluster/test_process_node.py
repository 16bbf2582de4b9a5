"""The process node runs pods as a kubelet does, and refuses what it cannot honour."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blockqnn_devcluster import DevCluster

Eventually = Callable[..., Any]
Apply = Callable[[dict[str, Any]], None]
Read = Callable[..., Any]


def container(script: str, **fields: Any) -> dict[str, Any]:
    return {"name": "main", "image": "none", "command": ["sh", "-c", script], **fields}


def pod(*containers: dict[str, Any], name: str = "pod", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"colour": "blue"}, "annotations": {"note": "x"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": list(containers),
            **spec,
        },
    }


@pytest.fixture
def finished(read: Read, eventually: Eventually) -> Callable[..., dict[str, Any]]:
    """Return a function that waits until a pod is over, and returns its status."""

    def status(name: str = "pod") -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            pod_status = read("pod", name)["status"]
            return pod_status if pod_status["phase"] in ("Succeeded", "Failed") else None

        result: dict[str, Any] = eventually(over)
        return result

    return status


@pytest.fixture
def running(read: Read, eventually: Eventually) -> Callable[..., int]:
    """Return a function that waits until a pod runs, and returns the process of its container."""

    def process(name: str = "pod") -> int:
        def number() -> int | None:
            status = read("pod", name)["status"]
            if status["phase"] != "Running":
                return None
            return int(status["containerStatuses"][0]["containerID"].removeprefix("process://"))

        result: int = eventually(number)
        return result

    return process


@pytest.fixture
def logs(cluster: DevCluster, namespace: str) -> Callable[..., str]:
    """Return a function that reads logs with kubectl."""

    def output(*arguments: str) -> str:
        return cluster.kubectl("logs", "-n", namespace, *arguments).stdout

    return output


def ended(status: dict[str, Any], index: int = 0) -> dict[str, Any]:
    state: dict[str, Any] = status["containerStatuses"][index]["state"]["terminated"]
    return state


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("script", "phase", "code", "reason"),
    [
        ("exit 0", "Succeeded", 0, "Completed"),
        ("exit 3", "Failed", 3, "Error"),
        # Kubernetes makes one $ of two.
        ("kill -9 $$$$", "Failed", 137, "Error"),
    ],
)
def test_the_exit_of_a_process_becomes_the_status_of_its_pod(
    apply: Apply, finished: Callable[..., Any], script: str, phase: str, code: int, reason: str
) -> None:
    apply(pod(container(script)))
    status = finished()
    assert status["phase"] == phase
    assert (ended(status)["exitCode"], ended(status)["reason"]) == (code, reason)
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions["PodScheduled"] == conditions["Initialized"] == "True"
    assert conditions["Ready"] == "False"
    assert status["podIP"] == status["hostIP"] == "127.0.0.1"


def test_a_command_that_does_not_exist_is_a_start_error(
    apply: Apply, finished: Callable[..., Any]
) -> None:
    apply(pod({**container(""), "command": ["no-such-program"]}))
    status = finished()
    assert (ended(status)["exitCode"], ended(status)["reason"]) == (128, "StartError")
    assert "no-such-program" in ended(status)["message"]


def test_termination_messages_come_from_the_file_or_the_log(
    apply: Apply, finished: Callable[..., Any]
) -> None:
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    apply(
        pod(
            container('echo noise; printf \'{"accuracy": 0.5}\' > "$TERMINATION_MESSAGE_PATH"'),
            container("echo first; echo the reason >&2; exit 1", **fallback) | {"name": "logged"},
            container("echo not wanted", **fallback) | {"name": "quiet"},
            container('head -c 5000 /dev/zero | tr "\\0" x > "$TERMINATION_MESSAGE_PATH"')
            | {"name": "long"},
        )
    )
    status = finished()
    states = {c["name"]: c["state"]["terminated"] for c in status["containerStatuses"]}
    assert json.loads(states["main"]["message"]) == {"accuracy": 0.5}
    assert states["logged"]["message"] == "first\nthe reason\n"
    assert "message" not in states["quiet"]
    assert states["long"]["message"] == "x" * 4096


def test_environment_arguments_and_temporary_directory(
    apply: Apply, finished: Callable[..., Any], logs: Callable[..., str], namespace: str
) -> None:
    def field(path: str) -> dict[str, Any]:
        return {"valueFrom": {"fieldRef": {"fieldPath": path}}}

    variables = [
        {"name": "POD", **field("metadata.name")},
        {"name": "SPACE", **field("metadata.namespace")},
        {"name": "NODE", **field("spec.nodeName")},
        {"name": "COLOUR", **field("metadata.labels['colour']")},
        {"name": "NOTE", **field("metadata.annotations['note']")},
        {"name": "BOTH", "value": "$(POD)/$(COLOUR)/$$(POD)/$(NONE)"},
    ]
    script = (
        'echo "$POD $SPACE $NODE $COLOUR $NOTE"; echo "$BOTH"; echo "$0 $1"; '
        'echo "$HOSTNAME"; touch "$TMPDIR/mine" && ls "$TMPDIR"; echo "$TMPDIR"; pwd; '
        'command -v python; echo "[$SECRET_OF_THE_SHELL]"'
    )
    manifest = pod(
        container(script, env=variables, args=["$(COLOUR)", "$(NONE)"], workingDir="/usr")
        | {"volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}]},
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    apply(manifest)
    assert finished()["phase"] == "Succeeded"
    lines = logs("pod").splitlines()
    assert lines[0] == f"pod {namespace} process-node blue x"
    assert lines[1] == "pod/blue/$(POD)/$(NONE)"
    assert lines[2] == "blue $(NONE)"
    assert lines[3:5] == ["pod", "mine"]
    assert not Path(lines[5]).exists()
    assert lines[6] == "/usr"
    assert lines[7].endswith("/bin/python")
    assert lines[8] == "[]"


def test_deleting_a_pod_sends_sigterm_and_kills_after_the_grace_period(
    cluster: DevCluster,
    namespace: str,
    apply: Apply,
    read: Read,
    running: Callable[..., int],
    eventually: Eventually,
) -> None:
    polite = "trap 'echo bye > \"$FILE\"; exit 0' TERM; sleep 600 & wait"
    stubborn = "trap '' TERM; sleep 600; sleep 600"
    witness = cluster.directory / f"{namespace}.witness"
    variable = {"env": [{"name": "FILE", "value": str(witness)}]}
    apply(pod(container(polite, **variable), name="polite"))
    apply(pod(container(stubborn), name="stubborn", terminationGracePeriodSeconds=1))
    apply(pod(container(stubborn), name="forced"))
    processes = {name: running(name) for name in ("polite", "stubborn", "forced")}

    began = time.monotonic()
    cluster.kubectl("delete", "pod", "polite", "-n", namespace)
    assert witness.read_text() == "bye\n"
    witness.unlink()
    assert time.monotonic() - began < 10
    began = time.monotonic()
    cluster.kubectl("delete", "pod", "stubborn", "-n", namespace)
    assert time.monotonic() - began > 0.9
    cluster.kubectl("delete", "pod", "forced", "-n", namespace, "--grace-period=0", "--force")
    eventually(lambda: not any(map(is_alive, processes.values())), within=5)
    assert all(read("pod", name) is None for name in processes)


def test_a_pod_that_exceeds_its_deadline_fails(apply: Apply, finished: Callable[..., Any]) -> None:
    apply(pod(container("exec sleep 600"), activeDeadlineSeconds=1))
    status = finished()
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert ended(status)["exitCode"] == 143


def test_what_a_process_leaves_behind_ends_with_it(
    apply: Apply, finished: Callable[..., Any], logs: Callable[..., str], eventually: Eventually
) -> None:
    apply(pod(container("sleep 600 & echo $!")))
    assert finished()["phase"] == "Succeeded"
    pid = int(logs("pod"))
    eventually(lambda: not is_alive(pid), within=5)


def test_failed_containers_are_restarted_in_their_pod_with_on_failure(
    apply: Apply, finished: Callable[..., Any], logs: Callable[..., str], cluster: DevCluster
) -> None:
    once = "if test -e again; then echo second; else touch again; echo first; exit 4; fi"
    apply(pod(container(once), restartPolicy="OnFailure"))
    status = finished()
    assert status["phase"] == "Succeeded"
    only = status["containerStatuses"][0]
    assert only["restartCount"] == 1
    assert only["lastState"]["terminated"]["exitCode"] == 4
    assert logs("pod") == "second\n"
    assert logs("pod", "--previous") == "first\n"


def test_a_container_that_keeps_failing_backs_off(
    apply: Apply, read: Read, eventually: Eventually
) -> None:
    apply(pod(container("exit 1"), restartPolicy="Always"))

    def waiting() -> dict[str, Any] | None:
        statuses = read("pod", "pod")["status"].get("containerStatuses")
        waiting: dict[str, Any] | None = statuses and statuses[0]["state"].get("waiting")
        return waiting if waiting and waiting["reason"] == "CrashLoopBackOff" else None

    assert eventually(waiting)["message"].startswith("back-off 10s")
    assert read("pod", "pod")["status"]["phase"] == "Running"


@pytest.mark.long
def test_a_job_replaces_failed_pods_until_its_backoff_limit(
    apply: Apply, read: Read, eventually: Eventually
) -> None:
    apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "job"},
            "spec": {
                "backoffLimit": 1,
                "template": {"spec": pod(container("exit 1"))["spec"]},
            },
        }
    )

    def failed() -> dict[str, Any] | None:
        status: dict[str, Any] = read("job", "job")["status"]
        kinds = [c["type"] for c in status.get("conditions", [])]
        return status if "Failed" in kinds else None

    status = eventually(failed, within=60)
    assert status["failed"] == 2
    pods = read("pods")["items"]
    assert [p["status"]["phase"] for p in pods] == ["Failed", "Failed"]


def test_init_containers_run_in_order_before_the_others(
    apply: Apply, finished: Callable[..., Any], logs: Callable[..., str], read: Read
) -> None:
    first = container("echo one > order") | {"name": "first"}
    second = container("echo two >> order") | {"name": "second"}
    apply(pod(container("cat order"), initContainers=[first, second]))
    status = finished()
    assert status["phase"] == "Succeeded"
    assert logs("pod") == "one\ntwo\n"
    assert [c["ready"] for c in status["initContainerStatuses"]] == [True, True]

    broken = container("exit 5") | {"name": "broken"}
    apply(pod(container("echo never"), initContainers=[broken], name="stuck"))
    status = finished("stuck")
    assert status["phase"] == "Failed"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 5
    assert "waiting" in status["containerStatuses"][0]["state"]


def test_a_pod_that_cannot_be_honoured_fails_and_names_the_fields(
    apply: Apply, finished: Callable[..., Any]
) -> None:
    apply(
        pod(
            container("true", livenessProbe={"exec": {"command": ["true"]}}),
            hostNetwork=True,
            volumes=[{"name": "data", "configMap": {"name": "none"}}],
        )
    )
    status = finished()
    assert (status["phase"], status["reason"]) == ("Failed", "Unsupported")
    for field in ("(main).livenessProbe", "spec.hostNetwork", "spec.volumes[0] (data).configMap"):
        assert field in status["message"]


def test_logs_can_be_followed_and_cut(
    cluster: DevCluster,
    namespace: str,
    apply: Apply,
    finished: Callable[..., Any],
    running: Callable[..., int],
    logs: Callable[..., str],
) -> None:
    gate = cluster.directory / f"{namespace}.gate"
    script = 'echo out; echo err >&2; until test -e "$GATE"; do sleep 0.05; done; echo end'
    apply(pod(container(script, env=[{"name": "GATE", "value": str(gate)}])))
    running()
    command = [str(cluster.kubectl_program), "logs", "-f", "pod", "-n", namespace]
    environment = {**os.environ, **cluster.environment}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() + follower.stdout.readline() == "out\nerr\n"
        gate.touch()
        assert follower.stdout.read() == "end\n"
    gate.unlink()
    assert follower.returncode == 0
    finished()
    assert logs("pod", "--tail=1") == "end\n"
    refused = cluster.kubectl("logs", "pod", "-n", namespace, "--timestamps", check=False)
    assert refused.returncode == 1
    assert "cannot honour timestamps" in refused.stderr


def test_a_status_is_seen_promptly_after_the_exit(
    cluster: DevCluster, namespace: str, apply: Apply
) -> None:
    witness = cluster.directory / f"{namespace}.exit"
    command = [str(cluster.kubectl_program), "get", "pods", "-n", namespace, "--watch-only", "-o"]
    environment = {**os.environ, **cluster.environment}
    with subprocess.Popen(
        [*command, "jsonpath={.status.phase}{'\\n'}"],
        env=environment, stdout=subprocess.PIPE, text=True,
    ) as watcher:  # fmt: skip
        script = 'sleep 1; python -c "import time; print(time.time())" > "$FILE"'
        apply(pod(container(script, env=[{"name": "FILE", "value": str(witness)}])))
        assert watcher.stdout is not None
        for line in watcher.stdout:
            if line.strip() == "Succeeded":
                break
        seen = time.time()
        watcher.terminate()
    # The median is 20 ms on two cores; the limit leaves room for one whose cores are all busy.
    assert seen - float(witness.read_text()) < 1.0
    witness.unlink()


def test_an_issued_user_has_only_the_rights_that_are_bound_to_it(
    cluster: DevCluster, namespace: str
) -> None:
    config = str(cluster.kubeconfig_for("someone", ["testers"]))
    read_pods = ("get", "pods", "-n", namespace, "--kubeconfig", config)
    refused = cluster.kubectl(*read_pods, check=False)
    assert 'User "someone" cannot list resource "pods"' in refused.stderr
    cluster.kubectl(
        "create", "rolebinding", "view", "-n", namespace, "--clusterrole=view", "--group=testers"
    )
    assert cluster.kubectl(*read_pods).returncode == 0


def test_the_node_says_what_it_does_not_enforce(cluster: DevCluster) -> None:
    node = json.loads(cluster.kubectl("get", "node", str(cluster.node), "-o", "json").stdout)
    text = node["metadata"]["annotations"]["devcluster.blockqnn.dev/not-enforced"]
    assert "securityContext" in text
    assert "limits" in text
