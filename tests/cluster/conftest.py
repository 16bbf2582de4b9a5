"""Fixtures for tests against a real API server: one cluster, a namespace for each test."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from searching import installed, make_searching, searching
from waiting import waiting

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.errors import NotRunningError
from blockqnn_devcluster.layout import DIRECTORY_VARIABLE

__all__ = ["installed", "make_searching", "searching"]


class Eventually(Protocol):
    """Waits for a condition and returns its first true value."""

    def __call__(self, condition: Callable[[], Any], *, within: float = 30.0) -> Any: ...


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevCluster]:
    """A running cluster: the one the environment names, or one for this test run.

    Parallel workers of one run share theirs.
    """
    running = os.environ.get(DIRECTORY_VARIABLE)
    if running:
        yield DevCluster.attach(running)
        return
    base = tmp_path_factory.getbasetemp()
    with _shared(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as shared:
        yield shared


@contextmanager
def _shared(folder: Path) -> Iterator[DevCluster]:
    """The first to come starts the cluster, and stops it when the last has gone.

    Every user holds a shared lock, which the system releases even for a worker that crashed.
    """
    address = folder / "cluster-directory"
    with (folder / "cluster-start.lock").open("w") as start, (folder / "cluster").open("w") as used:
        fcntl.flock(start, fcntl.LOCK_EX)
        mine: DevCluster | None = None
        try:
            cluster = DevCluster.attach(address.read_text())
        except (FileNotFoundError, NotRunningError):
            cluster = mine = DevCluster.start(f"test-{uuid.uuid4().hex[:8]}")
            address.write_text(str(mine.directory))
        fcntl.flock(used, fcntl.LOCK_SH)
        fcntl.flock(start, fcntl.LOCK_UN)
        try:
            yield cluster
        finally:
            if mine is not None:
                # Nobody attaches while we wait for the others and then stop it.
                fcntl.flock(start, fcntl.LOCK_EX)
                fcntl.flock(used, fcntl.LOCK_EX)
                mine.stop()


@pytest.fixture
def make_namespace(cluster: DevCluster, eventually: Eventually) -> Iterator[Callable[[], str]]:
    """Return a function that makes a fresh namespace in which pods can be created."""
    made: list[str] = []

    def make() -> str:
        name = f"test-{uuid.uuid4().hex[:8]}"
        cluster.kubectl("create", "namespace", name)
        made.append(name)
        # The API server refuses pods until the controller manager has made this account.
        account = ("get", "serviceaccount", "default", "-n", name)
        eventually(lambda: cluster.kubectl(*account, check=False).returncode == 0)
        return name

    yield make
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(make_namespace: Callable[[], str]) -> str:
    """A fresh namespace in which pods can be created, deleted after the test."""
    return make_namespace()


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Wait until a condition is true, and return its value; fail with its last value."""
    return waiting(90.0, 0.05)


@pytest.fixture
def read(cluster: DevCluster, namespace: str) -> Callable[..., Any]:
    """Return a function that reads an object of the test's namespace, or None where it is gone."""

    def get(kind: str, *names: str) -> Any:
        done = cluster.kubectl("get", kind, *names, "-n", namespace, "-o", "json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert "NotFound" in done.stderr, done.stderr
        return None

    return get


@pytest.fixture
def apply(cluster: DevCluster, namespace: str) -> Callable[[dict[str, Any]], None]:
    """Return a function that creates an object in the test's namespace."""

    def create(manifest: dict[str, Any]) -> None:
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(manifest))

    return create
