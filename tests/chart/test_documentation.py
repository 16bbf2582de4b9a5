"""docs/tasks/install.md is right: its commands work one after the other, its YAML is taken."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_command import Helm, of_kind
from repository_paths import ROOT

from blockqnn_devcluster import DevCluster

PAGE = (ROOT / "docs" / "tasks" / "install.md").read_text()
README = (ROOT / "README.md").read_text()
NAMESPACES = ("blockqnn", "team-a", "team-b")
OF_A_MACHINE_WITH_IMAGES = ("docker", "kind", "minikube")
"""Commands for images are tried where there is a container runtime: `make test-node`."""

STORIES = [
    ("Three commands", "What the operator may do", "A private registry", "Prometheus and Grafana",
     "Upgrading", "Uninstalling"),
    ("One namespace, or some",),
    ("kind and minikube",),
    ("Without a network",),
]  # fmt: skip
"""Sections whose commands follow one another, each story on a cluster that knows nothing."""


def sections() -> dict[str, str]:
    """The page's sections by their headings."""
    _, *parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def script(section: str) -> str:
    """The commands of a section, but those that need images."""
    lines = "".join(blocks(sections()[section], "sh")).replace("\\\n", " ").splitlines()
    return "\n".join(line for line in lines if not line.startswith(OF_A_MACHINE_WITH_IMAGES))


@pytest.fixture
def shell(
    cluster: DevCluster,
    helm_program: Path,
    tmp_path: Path,
    untouched: None,
) -> Iterator[Callable[[str], None]]:
    """Return what runs a script as an administrator's shell would, in a copy of the checkout."""
    for name in ("helm", "crds"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "values.yaml").write_text("registry: registry.example.com/team\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in (helm_program, cluster.kubectl_program):
        (programs / program.name).symlink_to(program)
    environment = {
        "PATH": f"{programs}:{os.defpath}",
        "HOME": str(tmp_path / "home"),
        "PASSWORD": "secret",
        **cluster.environment,
    }

    def run(text: str) -> None:
        done = subprocess.run(
            ["sh", "-eu", "-c", text.replace("REGISTRY", "registry.example.com/team")],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"

    yield run
    cluster.kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found", "--timeout=90s")


def test_no_section_with_commands_is_left_out() -> None:
    story_sections = {section for story in STORIES for section in story}
    assert story_sections == {title for title in sections() if script(title).strip()}


@pytest.mark.usefixtures("monitored")
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story[0])
def test_the_commands_work_one_after_the_other(
    cluster: DevCluster, shell: Callable[[str], None], story: tuple[str, ...]
) -> None:
    for name in NAMESPACES[1:]:
        cluster.kubectl("create", "namespace", name)
    for section in story:
        commands = script(section)
        if "helm test" in commands:
            # There are no images here that could serve: test_helm_test.py is about it.
            commands = commands.replace("helm test", "helm status")
        shell(commands)


def test_the_readmes_commands_are_the_pages() -> None:
    (install_block,) = [block for block in blocks(README, "sh") if "helm install" in block]
    assert install_block in blocks(sections()["Three commands"], "sh")


def manifests() -> list[dict[str, Any]]:
    """Manifests that the page shows: whole ones, and parts of a search's spec as searches."""
    searches = []
    for block in blocks(PAGE, "yaml"):
        value = yaml.safe_load(block)
        if {"sharing", "operator", "dependencies"} & set(value):
            continue  # The configuration of NVIDIA's device plugin, the chart's values, a chart.
        if "apiVersion" not in value:
            value = {
                "apiVersion": "blockqnn.dev/v1alpha1",
                "kind": "BlockSearch",
                "metadata": {"name": f"search-{len(searches)}"},
                "spec": {"dataset": {"name": "digits"}} | value,
            }
        searches.append(value)
    return searches


@pytest.mark.usefixtures("untouched")
def test_the_api_server_takes_its_manifests(
    cluster: DevCluster, helm: Helm, namespace: str
) -> None:
    helm.install(namespace)
    shown = manifests()
    assert len(of_kind(shown, "BlockSearch")) >= 4
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": shown})
    options = ("--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-")
    done = cluster.kubectl("create", *options, input=text)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(shown)


def test_the_links_within_the_documents_lead_somewhere() -> None:
    titles = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in sections()}
    for text in (PAGE, README):
        for anchor in re.findall(r"\]\((?:docs/tasks/install\.md)?#([a-z0-9-]+)\)", text):
            assert anchor in titles
