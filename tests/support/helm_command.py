"""The real Helm as a function, and what it renders as Python values."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from repository_paths import ROOT

CHART = ROOT / "helm" / "blockqnn"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
NEVER_SCHEDULED = ("--set", "nodeSelector.nowhere=here")
"""The process node runs no images: the operator's Pod waits for a node that does not exist."""

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm ended with an error, and said this."""


class Helm:
    """Runs Helm with a home of its own."""

    def __init__(self, program: Path, home: Path, kubeconfig: Path) -> None:
        self._program = program
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "KUBECONFIG": str(kubeconfig),
        }

    def __call__(self, *arguments: str) -> str:
        """Run it and return what it printed.

        Raises:
            HelmError: with what it printed as an error.
        """
        done = subprocess.run(
            [str(self._program), *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HelmError(done.stderr.strip())
        return done.stdout

    def install(self, namespace: str, *options: str, chart: Path = CHART) -> None:
        """Install the release `blockqnn`, or upgrade it."""
        arguments = ("upgrade", "--install", "blockqnn", str(chart), "-n", namespace)
        self(*arguments, *NEVER_SCHEDULED, *options)

    def uninstall(self, namespace: str) -> None:
        """Uninstall the release `blockqnn`."""
        self("uninstall", "blockqnn", "-n", namespace)

    def render(self, *options: str, namespace: str = "blockqnn", chart: Path = CHART) -> str:
        """Return the manifests of the release `blockqnn`, those of its test included."""
        return self("template", "blockqnn", str(chart), "-n", namespace, *options)

    def rendered(self, *options: str, namespace: str = "blockqnn") -> list[Manifest]:
        """Return the same as values."""
        manifests = yaml.safe_load_all(self.render(*options, namespace=namespace))
        return [manifest for manifest in manifests if manifest]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Return the manifests of some kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the one manifest of a kind."""
    (manifest,) = of_kind(manifests, kind)
    return manifest


def operator_container(manifests: list[Manifest]) -> Manifest:
    """Return the operator's container."""
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container  # type: ignore[no-any-return]
