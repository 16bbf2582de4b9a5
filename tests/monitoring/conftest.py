"""Fixtures for tests with a real Prometheus; those of the cluster are shared with tests/cluster."""

from pathlib import Path

import pytest
from monitoring.debian import PROMTOOL, Program, Unavailable, fetch
from searching import installed
from tests.cluster.conftest import cluster, eventually

__all__ = ["cluster", "eventually", "installed"]


def program(wanted: Program) -> Path:
    """Return where a program is, or skip the test and say why."""
    try:
        return fetch(wanted).path
    except Unavailable as error:
        pytest.skip(f"NOT TESTED: {error}")


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' tool for checking rules and metrics."""
    return program(PROMTOOL)
