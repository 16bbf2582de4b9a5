"""The command lines of the control plane, and what the Go module pins."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from blockqnn_devcluster import flags
from blockqnn_devcluster.build import cache_key, module_directory
from blockqnn_devcluster.errors import UsageError
from blockqnn_devcluster.flags import Ports
from blockqnn_devcluster.layout import ClusterDirectory, check_name
from blockqnn_devcluster.programs import (
    HELM,
    HELM_VERSION,
    KUBERNETES_STAMPS,
    KUBERNETES_VERSION,
    PROGRAMS,
    build_command,
    linker_flags,
)

DIRECTORY = ClusterDirectory(Path("/state/name"))
PORTS = Ports(etcd=1001, api_server=1002, controller_manager=1003, scheduler=1004)
COMMANDS = [flags.etcd, flags.api_server, flags.controller_manager, flags.scheduler]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_component_listens_on_loopback_with_the_clusters_certificates(
    command: Callable[..., list[str]],
) -> None:
    words = command(Path("/bin"), DIRECTORY, PORTS)
    text = " ".join(words)
    assert "127.0.0.1" in text
    assert "0.0.0.0" not in text
    assert "/state/name/certificates/authority.crt" in text
    assert all(word.startswith("--") for word in words[1:])
    assert len(words) == len({word.split("=")[0] for word in words})


def test_controllers_and_scheduler_may_ask_faster_than_by_default() -> None:
    manager = flags.controller_manager(Path("/bin"), DIRECTORY, PORTS)
    assert {"--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-job-syncs=50"} <= {
        *manager
    }
    connection = flags.scheduler_configuration(DIRECTORY)["clientConnection"]
    assert connection["qps"] == 500


def test_the_api_server_enforces_rights_and_knows_its_port() -> None:
    words = flags.api_server(Path("/bin"), DIRECTORY, PORTS)
    assert "--authorization-mode=Node,RBAC" in words
    assert "--anonymous-auth=false" in words
    assert PORTS.server == "https://127.0.0.1:1002"


def test_the_go_module_pins_the_version_that_is_linked_in() -> None:
    module = (module_directory() / "go.mod").read_text()
    assert f"\tk8s.io/kubernetes v{KUBERNETES_VERSION} " in module
    staging = re.findall(r"k8s\.io/\S+ => k8s\.io/\S+ v(\S+)", module)
    assert set(staging) == {KUBERNETES_VERSION.replace("1.", "0.", 1)}
    for program in PROGRAMS:
        assert f"\t{program.package}\n" in module


def test_helms_own_module_pins_the_version_that_is_linked_in() -> None:
    module = (module_directory(HELM) / "go.mod").read_text()
    assert f"\thelm.sh/helm/v3 v{HELM_VERSION} " in module
    (program,) = HELM.programs
    assert f"tool {program.package}\n" in module
    assert f"version.version=v{HELM_VERSION}" in linker_flags(program.stamps)


def test_only_kubernetes_programs_carry_the_version() -> None:
    assert f"version.gitVersion=v{KUBERNETES_VERSION}" in linker_flags(KUBERNETES_STAMPS)
    assert linker_flags(()) == "-s -w"
    with pytest.raises(ValueError, match="share"):
        build_command("go", "out", PROGRAMS)


def test_the_cache_key_follows_everything_that_decides_the_build() -> None:
    keys = {
        cache_key(PROGRAMS, b"module", b"sums", "linux-x86_64"),
        cache_key(PROGRAMS, b"other", b"sums", "linux-x86_64"),
        cache_key(PROGRAMS, b"module", b"other", "linux-x86_64"),
        cache_key(PROGRAMS, b"module", b"sums", "linux-aarch64"),
        cache_key(PROGRAMS[1:], b"module", b"sums", "linux-x86_64"),
        cache_key(PROGRAMS, b"modules", b"ums", "linux-x86_64"),
    }
    assert len(keys) == 6


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "..", "-a", "a-", "a" * 41])
def test_a_name_that_cannot_be_a_directory_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cluster name"):
        check_name(name)
