"""`helm test`: what its Pod asks the operator, and what it says when that does not serve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helm_command import Helm, HelmError, Manifest, only
from release import Installed, Ports, answer

from blockqnn_devcluster import DevCluster

Eventually = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("untouched")


def variables(service: Manifest, ports: Ports) -> dict[str, str]:
    """The variables by which a kubelet tells a Pod of a Service."""
    name = service["metadata"]["name"].upper().replace("-", "_")
    return {f"{name}_SERVICE_HOST": "127.0.0.1"} | {
        f"{name}_SERVICE_PORT_{port['name'].upper()}": str(getattr(ports, port["name"]))
        for port in service["spec"]["ports"]
    }


def asked(
    helm: Helm, ports: Ports, patience: int, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the command of the test's container with the variables that it would have."""
    manifests = helm.rendered(*options)
    (container,) = only(manifests, "Job")["spec"]["template"]["spec"]["containers"]
    python, option, script, *arguments = container["command"]
    assert python == "python"
    assert "+ 60" in script
    return subprocess.run(
        [sys.executable, option, script.replace("+ 60", f"+ {patience}"), *arguments],
        env={"PATH": "/usr/bin:/bin", **variables(only(manifests, "Service"), ports)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("metrics", ["true", "false"])
def test_an_operator_that_serves_passes(
    cluster: DevCluster,
    helm: Helm,
    namespace: str,
    eventually: Eventually,
    tmp_path: Path,
    metrics: str,
) -> None:
    options = (
        "--set",
        f"fullnameOverride=my-search,serviceAccount.name=blockqnn,metrics.enabled={metrics}",
    )
    installed = Installed(cluster, helm, namespace, *options)
    with installed.operator(tmp_path / "log") as ports:
        done = asked(helm, ports, 60, *options)
    assert (done.returncode, done.stderr) == (0, "")
    paths = [line.split("/", 3)[3] for line in done.stdout.splitlines()]
    assert paths == ["healthz 200", "readyz 200", "metrics 200"][: 3 if metrics == "true" else 2]


def test_an_operator_that_lives_but_does_not_serve_fails(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually, tmp_path: Path
) -> None:
    installed = Installed(cluster, helm, namespace, "--set", "crds.install=false")
    with installed.operator(tmp_path / "log") as ports:
        eventually(lambda: answer(ports.probes, "/healthz") == 200)
        done = asked(helm, ports, 1)
    assert done.returncode == 1
    assert done.stderr.endswith("/readyz: HTTP Error 503: Service Unavailable\n")


def test_helm_reports_the_failure_and_the_pods_log_says_why(
    cluster: DevCluster, helm: Helm, namespace: str
) -> None:
    """The process node has no network of Services, which reads as one without an address."""
    helm.install(namespace, "--set", "nodeSelector=null")
    with pytest.raises(HelmError, match="blockqnn-test"):
        helm("test", "blockqnn", "-n", namespace, "--timeout=60s")
    log = cluster.kubectl("logs", "job/blockqnn-test", "-n", namespace).stdout
    assert log == "the operator's Service is not there, or has no address\n"
