"""Which programs make up the cluster, at which versions, and how each is compiled. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

KUBERNETES_VERSION = "1.34.4"
"""The Kubernetes that `programs/go.mod` pins; a unit test holds the two together."""


@dataclass(frozen=True)
class Program:
    """One executable: the name of its file and the Go package it is built from."""

    name: str
    package: str
    stamped: bool
    """Whether the Kubernetes version is linked in: a server without one is refused by clients."""


PROGRAMS = (
    Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", stamped=True),
    Program(
        "kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", stamped=True
    ),
    Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", stamped=True),
    Program("kubectl", "k8s.io/kubernetes/cmd/kubectl", stamped=True),
    # The package is named server, so that it needs its own name: etcd.
    Program("etcd", "go.etcd.io/etcd/server/v3", stamped=False),
)
"""Add a program here and as a `tool` in `programs/go.mod`: nothing else has to change."""


def linker_flags(stamped: bool) -> str:
    """Return the value of `go build -ldflags`: no symbols, and the version where it is wanted."""
    flags = ["-s", "-w"]
    if stamped:
        major, minor, _ = KUBERNETES_VERSION.split(".")
        stamps = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": major, "gitMinor": minor}
        for variable, value in stamps.items():
            flags.append(f"-X k8s.io/component-base/version.{variable}={value}")
    return " ".join(flags)


def build_command(go: str, output: str, programs: Iterable[Program]) -> list[str]:
    """Return the `go build` of programs that share one set of linker flags.

    Several programs go into the directory `output` under the last parts of their package names;
    a single one becomes the file `output`.
    """
    chosen = list(programs)
    flags = {linker_flags(program.stamped) for program in chosen}
    if len(flags) != 1:
        raise ValueError("programs of one go build must share their linker flags")
    return [
        go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags.pop(),
        "-o", output, *(program.package for program in chosen),
    ]  # fmt: skip
