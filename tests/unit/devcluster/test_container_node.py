"""The configuration of a container node, and what it takes a machine's cgroups for."""

from __future__ import annotations

import io
import json
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from blockqnn_devcluster import flags
from blockqnn_devcluster.access import CONTAINER_NODE_HOST
from blockqnn_devcluster.container import configuration, network
from blockqnn_devcluster.container.cgroups import hierarchies
from blockqnn_devcluster.container.configuration import NodeFiles
from blockqnn_devcluster.container.pause import write_archive
from blockqnn_devcluster.errors import UsageError
from blockqnn_devcluster.flags import Ports
from blockqnn_devcluster.layout import ClusterDirectory
from blockqnn_devcluster.nodes import NodeKind
from blockqnn_devcluster.supervisor import Options

FILES = NodeFiles(ClusterDirectory(Path('/state/a "name"')))

VERSION_1 = """\
25 24 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_cgroups_of_version_1_name_their_controllers_and_the_one_of_version_2_is_seen_too() -> None:
    assert hierarchies(VERSION_1) == {
        Path("/sys/fs/cgroup/cpu,cpuacct"): {"cpu", "cpuacct"},
        Path("/sys/fs/cgroup/memory"): {"memory"},
        Path("/sys/fs/cgroup/unified"): frozenset(),
    }
    assert hierarchies(VERSION_2) == {Path("/sys/fs/cgroup"): frozenset()}


def test_containerd_keeps_everything_in_the_clusters_directory_whatever_its_name() -> None:
    read = tomllib.loads(configuration.containerd(FILES, Path("/usr/lib/cni")))
    assert read["root"] == str(FILES.file("containerd"))
    assert read["grpc"]["address"] == str(FILES.socket)
    runtime = read["plugins"]["io.containerd.grpc.v1.cri"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["cni"]["bin_dir"] == "/usr/lib/cni"
    assert runtime["cni"]["conf_dir"] == str(FILES.file("networks"))


def test_the_kubelet_asks_for_certificates_and_never_deletes_an_image() -> None:
    read = yaml.safe_load(configuration.kubelet(FILES))
    assert read["authentication"]["anonymous"] == {"enabled": False}
    assert read["authorization"] == {"mode": "Webhook"}
    assert read["imageGCHighThresholdPercent"] == 100
    assert read["cgroupRoot"] == FILES.cgroup


def test_pods_get_addresses_that_the_machine_has_a_way_to() -> None:
    subnet = json.loads(configuration.network(FILES))["plugins"][0]["ipam"]["ranges"][0][0]
    routes = [command for command in network.host_setup() if command[:3] == ["ip", "route", "add"]]
    assert [route[3] for route in routes] == [subnet["subnet"]]


def test_the_api_server_listens_where_the_nodes_pods_reach_it_and_nowhere_else() -> None:
    ports = Ports(1, 2, 3, 4, address=CONTAINER_NODE_HOST)
    words = flags.api_server(Path("/bin"), FILES.layout, ports)
    assert f"--bind-address={CONTAINER_NODE_HOST}" in words
    assert f"--advertise-address={CONTAINER_NODE_HOST}" in words
    assert ports.server == f"https://{CONTAINER_NODE_HOST}:2"
    assert not any("0.0.0.0" in word for word in words)


def test_the_pause_image_is_its_program_and_says_so_to_the_runtime(tmp_path: Path) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(b"a program")
    write_archive(program, tmp_path / "pause.tar")
    with tarfile.open(tmp_path / "pause.tar") as image:
        (entry,) = json.load(image.extractfile("manifest.json"))  # type: ignore[arg-type]
        layer = image.extractfile(entry["Layers"][0]).read()  # type: ignore[union-attr]
    assert entry["RepoTags"] == [configuration.PAUSE_IMAGE]
    with tarfile.open(fileobj=io.BytesIO(layer)) as content:
        member = content.getmember("bin/busybox")
        assert member.mode == 0o755
        assert content.extractfile(member).read() == b"a program"  # type: ignore[union-attr]


def test_processors_cannot_be_made_up_for_a_node_that_measures_its_own() -> None:
    with pytest.raises(UsageError, match="--cpus"):
        Options("name", cpus=4, node=NodeKind.CONTAINER)
