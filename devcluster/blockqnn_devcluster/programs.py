"""Programs, their versions, and their compilation. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KUBERNETES_VERSION = "1.34.4"
"""The Kubernetes that `programs/go.mod` pins; a unit test holds the two together."""

HELM_VERSION = "3.22.0"
"""The Helm that `programs/helm/go.mod` pins; a unit test holds the two together."""

KWOK_VERSION = "0.8.0"
"""The KWOK that `programs/kwok/go.mod` pins; a unit test holds the two together."""

Stamps = tuple[tuple[str, str], ...]
"""Go variables and the values that the linker gives them."""

_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")
KUBERNETES_STAMPS: Stamps = (
    ("k8s.io/component-base/version.gitVersion", f"v{KUBERNETES_VERSION}"),
    ("k8s.io/component-base/version.gitMajor", _MAJOR),
    ("k8s.io/component-base/version.gitMinor", _MINOR),
)
"""A server without a version is refused by clients."""

HELM_STAMPS: Stamps = (
    ("helm.sh/helm/v3/internal/version.version", f"v{HELM_VERSION}"),
    # The Kubernetes that a chart is rendered and linted for where there is no cluster.
    ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", _MAJOR),
    ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", _MINOR),
    ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", _MAJOR),
    ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", _MINOR),
)


@dataclass(frozen=True)
class Program:
    """One executable: the name of its file and the Go package it is built from."""

    name: str
    package: str
    stamps: Stamps = ()
    """Values that are linked in, as a rule its version."""


@dataclass(frozen=True)
class ProgramSet:
    """Programs of one Go module, built together when one of them is first needed."""

    name: str
    """Name in progress messages."""
    module: str
    """The directory of the Go module, below `programs/`."""
    programs: tuple[Program, ...]
    takes: str
    """Time of the first build on two cores."""


PROGRAMS = (
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", KUBERNETES_STAMPS),
    Program(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        KUBERNETES_STAMPS,
    ),
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", KUBERNETES_STAMPS),
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl", KUBERNETES_STAMPS),
    # The package is named server, so that it needs its own name: etcd.
    Program("etcd", "go.etcd.io/etcd/server/v3"),
)
"""Add a program here and as a `tool` in `programs/go.mod`: nothing else has to change."""

CLUSTER_PROGRAMS = ProgramSet("the Kubernetes programs", ".", PROGRAMS, "five minutes")
"""Programs of every cluster."""

CONTAINER_NODE_PROGRAMS = ProgramSet(
    "the programs of a container node",
    ".",
    (
        Program("kubelet", "k8s.io/kubernetes/cmd/kubelet", KUBERNETES_STAMPS),
        Program("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", KUBERNETES_STAMPS),
    ),
    "three minutes",
)
"""Programs of `up --node container` beside those of every cluster."""

HELM = ProgramSet(
    "Helm",
    # A module of its own: it asks for other Kubernetes libraries than the cluster's programs.
    "helm",
    (Program("helm", "helm.sh/helm/v3/cmd/helm", HELM_STAMPS),),
    "two minutes",
)
"""Programs of the tests of the chart."""

KWOK = ProgramSet(
    "KWOK",
    "kwok",
    (
        Program(
            "kwok",
            "sigs.k8s.io/kwok/cmd/kwok",
            (("sigs.k8s.io/kwok/pkg/consts.Version", f"v{KWOK_VERSION}"),),
        ),
    ),
    "two minutes",
)
"""Programs of simulated nodes."""

PROGRAM_SETS = {
    "cluster": CLUSTER_PROGRAMS,
    "container-node": CONTAINER_NODE_PROGRAMS,
    "helm": HELM,
    "kwok": KWOK,
}
"""By the name under which `build --only` takes them. A set of a module of its own goes here."""


def linker_flags(stamps: Stamps) -> str:
    """Return the value of `go build -ldflags`: no symbols, and what is stamped in."""
    return " ".join(["-s", "-w", *(f"-X {variable}={value}" for variable, value in stamps)])


def build_command(go: str, output: str, programs: Iterable[Program]) -> list[str]:
    """Return the `go build` of programs that share one set of linker flags.

    Several programs go into the directory `output` under the last parts of their package names;
    a single one becomes the file `output`.
    """
    chosen = list(programs)
    flags = {linker_flags(program.stamps) for program in chosen}
    if len(flags) != 1:
        raise ValueError("programs of one go build must share their linker flags")
    return [
        go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags.pop(),
        "-o", output, *(program.package for program in chosen),
    ]  # fmt: skip
