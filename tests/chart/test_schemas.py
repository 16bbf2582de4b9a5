"""Every Kubernetes that the chart says it supports knows all that is installed, and all Jobs."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_command import CHART, CI_VALUES, Helm, only
from operator_builders import make_search, make_settings, make_spec
from repository_paths import FIXTURES

from blockqnn_operator.core.jobs.preparation import preparation_job

NEWEST = int(kubernetes_validate.latest_version().split(".")[1])


def oldest() -> int:
    """The minor version of the oldest Kubernetes that Helm installs the chart on."""
    asked = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    match = re.fullmatch(r">=1\.(\d+)\.0-0", asked)
    assert match is not None, asked
    return int(match[1])


VERSIONS = [f"1.{minor}" for minor in range(oldest(), NEWEST + 1)]


def validate(manifest: dict[str, Any]) -> None:
    """Hold a manifest against the schema of each version; no field may be unknown."""
    _validate(json.dumps(manifest))


@cache  # Most values change few of the manifests.
def _validate(manifest: str) -> None:
    for version in VERSIONS:
        assert kubernetes_validate.validate(json.loads(manifest), version, strict=True) == version


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_each_version_knows_every_field(offline: Helm, values: Path) -> None:
    for manifest in offline.rendered("-f", str(values)):
        # Its kinds are held against its own definitions, in test_api_server.py.
        if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            validate(manifest)


def test_a_field_that_nobody_knows_is_found(offline: Helm) -> None:
    """The test above can fail."""
    deployment = only(offline.rendered(), "Deployment")
    deployment["spec"]["replicaz"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="replicaz"):
        validate(deployment)


def test_each_version_knows_the_jobs_of_the_operator() -> None:
    validate(json.loads((FIXTURES / "trial-job.json").read_text()))
    claim = {"persistentVolumeClaim": {"claimName": "datasets"}}
    changes = {"dataset": {"name": "cifar10", "volume": claim}}
    validate(preparation_job(make_search(make_spec(**changes)), make_settings(**changes)))
