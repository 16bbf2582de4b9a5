"""Environment of a container's process, and its part of the pod's status."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from blockqnn_devcluster.node.environment import (
    Places,
    command_line,
    declared_variables,
    expand,
    process_environment,
)
from blockqnn_devcluster.node.log_server import Query, Refusal, parse_query
from blockqnn_devcluster.node.messages import last_lines, termination_message
from blockqnn_devcluster.node.pod_files import MountError, check_host_path
from blockqnn_devcluster.node.pod_status import (
    Container,
    Failure,
    PodState,
    Running,
    Terminated,
    Waiting,
    exit_code,
    lost_status,
    phase,
    pod_status,
)

NOW = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}},
    "spec": {"nodeName": "node"},
}
PLACES = Places(programs=Path("/venv/bin"), message=Path("/scratch/message"), temporary=None)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x12y"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $(A", "$A $(A"),
        ("$()", "$()"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_a_variable_may_refer_to_those_before_it_only() -> None:
    env = [
        {"name": "A", "value": "$(B)"},
        {"name": "B", "value": "2"},
        {"name": "C", "value": "$(B)"},
        {"name": "D"},
    ]
    values = declared_variables(POD, {"env": env})
    assert values == {"A": "$(B)", "B": "2", "C": "2", "D": ""}
    assert command_line({"command": ["x"], "args": ["$(C)"]}, values) == ["x", "2"]


def test_little_of_the_nodes_environment_reaches_a_container() -> None:
    own = {"HOME": "/home", "SECRET": "x", "PATH": "/bin", "TMPDIR": "/host"}
    environment = process_environment(POD, {}, own, PLACES)
    assert environment == {
        "HOME": "/home",
        "PATH": "/venv/bin:/bin",
        "HOSTNAME": "p",
        "TERMINATION_MESSAGE_PATH": "/scratch/message",
    }


def test_the_projects_programs_come_first_whatever_path_the_pod_sets() -> None:
    env = [{"name": "PATH", "value": "/own"}, {"name": "TERMINATION_MESSAGE_PATH", "value": "/x"}]
    places = Places(PLACES.programs, PLACES.message, Path("/scratch/tmp"))
    environment = process_environment(POD, {"env": env}, {}, places)
    assert environment["PATH"] == "/venv/bin:/own"
    assert environment["TERMINATION_MESSAGE_PATH"] == "/scratch/message"
    assert environment["TMPDIR"] == "/scratch/tmp"


def test_fields_of_the_pod() -> None:
    def value(path: str) -> str:
        env = [{"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}]
        return declared_variables(POD, {"env": env})["V"]

    assert value("metadata.uid") == "u"
    assert value("spec.nodeName") == "node"
    assert value("status.hostIP") == "127.0.0.1"
    assert value("metadata.labels['a']") == "b"
    assert value("metadata.annotations['none']") == ""


def running() -> Running:
    return Running(NOW, 7)


def ended(code: int, message: str = "") -> Terminated:
    return Terminated(code, "Completed" if code == 0 else "Error", message, NOW, NOW, 7)


def state(*states: Waiting | Running | Terminated, **fields: Any) -> PodState:
    containers = tuple(Container(f"c{i}", "image", s) for i, s in enumerate(states))
    return PodState(NOW, "Never", (), containers, **fields)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (state(Waiting()), "Pending"),
        (state(running(), Waiting()), "Running"),
        (state(ended(0), running()), "Running"),
        (state(ended(0), ended(0), over=True), "Succeeded"),
        (state(ended(0), ended(1), over=True), "Failed"),
        (state(Waiting(), over=True), "Failed"),
        (state(ended(0), failure=Failure("DeadlineExceeded", "x"), over=True), "Failed"),
    ],
)
def test_phase(pod: PodState, expected: str) -> None:
    assert phase(pod) == expected


def test_a_crashed_container_that_waits_is_a_running_pod() -> None:
    crashed = Container("c", "i", ended(1)).waits(Waiting("CrashLoopBackOff"))
    assert phase(PodState(NOW, "Always", (), (crashed,))) == "Running"


def test_restarts_are_counted_and_the_last_end_is_kept() -> None:
    first = Container("c", "i", Waiting()).begins(running())
    assert (first.restarts, first.last) == (0, None)
    second = first.ends(ended(1)).waits(Waiting("CrashLoopBackOff")).begins(running())
    assert second.restarts == 1
    assert second.last == ended(1)
    third = second.ends(ended(2)).begins(ended(128))
    assert (third.restarts, third.last) == (2, ended(2))


def test_a_status_has_what_clients_read() -> None:
    pod = state(ended(3, "why"), failure=Failure("Reason", "message"), over=True)
    status = pod_status(pod, [], NOW, generation=2)
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Reason", "message")
    assert status["startTime"] == "2030-01-01T12:00:00Z"
    [only] = status["containerStatuses"]
    assert only["state"]["terminated"] == {
        "exitCode": 3,
        "reason": "Error",
        "message": "why",
        "startedAt": "2030-01-01T12:00:00Z",
        "finishedAt": "2030-01-01T12:00:00Z",
        "containerID": "process://7",
    }
    assert not only["ready"]


def test_a_condition_that_does_not_change_keeps_its_time() -> None:
    earlier = "2029-01-01T00:00:00Z"
    previous = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": earlier},
        {"type": "Ready", "status": "False", "lastTransitionTime": earlier},
    ]
    conditions = pod_status(state(running()), previous, NOW, 1)["conditions"]
    times = {c["type"]: c["lastTransitionTime"] for c in conditions}
    assert times["PodScheduled"] == earlier
    assert times["Ready"] == "2030-01-01T12:00:00Z"


def test_a_pod_whose_processes_are_lost_has_failed() -> None:
    status = pod_status(state(running(), ended(0)), [], NOW, 1)
    lost = lost_status({"status": status}, NOW)
    assert (lost["phase"], lost["reason"]) == ("Failed", "NodeRestarted")
    codes = [c["state"]["terminated"]["exitCode"] for c in lost["containerStatuses"]]
    assert codes == [137, 0]


def test_a_signal_becomes_an_exit_code() -> None:
    assert [exit_code(status) for status in (0, 3, -9, -15)] == [0, 3, 137, 143]


def test_the_log_stands_in_for_a_message_only_after_an_error(tmp_path: Path) -> None:
    message, log = tmp_path / "message", tmp_path / "log"
    log.write_text("".join(f"{i}\n" for i in range(1000)))
    policy = "FallbackToLogsOnError"
    text = termination_message(message, log, policy, 1)
    assert text.endswith("998\n999\n")
    assert text.count("\n") == 80
    assert termination_message(message, log, policy, 0) == ""
    assert termination_message(message, log, "File", 1) == ""
    message.write_bytes(b"\xff" + b"x" * 5000)
    assert termination_message(message, log, policy, 1) == "x" * 4096
    assert last_lines(b"a\nb\nc", 2) == b"b\nc"


def test_log_requests_that_cannot_be_honoured_are_refused() -> None:
    assert parse_query({"follow": "true", "tailLines": "5"}) == Query(True, False, 5, None)
    for query in ({"timestamps": "true"}, {"sinceSeconds": "5"}, {"tailLines": "x"}):
        with pytest.raises(Refusal):
            parse_query(query)


def test_a_host_path_must_be_what_the_pod_expects(tmp_path: Path) -> None:
    check_host_path("v", {"path": str(tmp_path), "type": "Directory"})
    check_host_path("v", {"path": str(tmp_path / "none")})
    check_host_path("v", {"path": str(tmp_path / "new"), "type": "DirectoryOrCreate"})
    assert (tmp_path / "new").is_dir()
    with pytest.raises(MountError, match="is not a File"):
        check_host_path("v", {"path": str(tmp_path), "type": "File"})
