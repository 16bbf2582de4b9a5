"""The chart's files agree with one another and with what they are made from."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from repository_paths import ROOT

CHART = ROOT / "helm" / "blockqnn"

sys.path.insert(0, str(ROOT / "helm"))

from values_table import described, with_table  # noqa: E402

VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


@pytest.mark.parametrize("source", ["crds/blockqnn.dev_blocksearches.yaml", "operator/role.yaml"])
def test_the_charts_copy_is_current(source: str) -> None:
    """Helm reads nothing outside the chart; `make generate` copies."""
    assert (CHART / "files" / Path(source).name).read_text() == (ROOT / source).read_text()


def test_the_definition_holds_nothing_that_helm_would_render() -> None:
    assert "{{" not in (CHART / "files" / "blockqnn.dev_blocksearches.yaml").read_text()


def test_the_readmes_table_is_current() -> None:
    """`make generate` writes it."""
    readme = (CHART / "README.md").read_text()
    assert with_table(readme, VALUES) == readme


def test_every_value_is_described() -> None:
    paths = {value.path for value in described(VALUES)}
    undescribed = {
        path for path in leaves(yaml.safe_load(VALUES)) if not any(_covers(p, path) for p in paths)
    }
    assert undescribed == set()


def _covers(described_path: str, path: str) -> bool:
    return path == described_path or path.startswith(f"{described_path}.")


def test_a_description_above_no_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="describes no value"):
        list(described("# -- Nothing.\n- item\n"))


def leaves(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path


def test_the_schema_knows_the_values_and_no_others() -> None:
    closed = dict(objects(SCHEMA))
    values = yaml.safe_load(VALUES)
    for path, properties in closed.items():
        node = values
        for key in filter(None, path.split(".")):
            node = node[key]
        given = set(node) if isinstance(node, dict) else set()
        assert given <= properties, path
        # Keys that have no default: what Kubernetes lets a container ask for, and Helm's own.
        assert properties - given <= {"global", "enabled", "claims"}, path
    assert "" in closed


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    """The maps of the schema that take no other keys, but for those inside lists."""
    if "properties" not in schema:
        return
    assert schema["additionalProperties"] is False, path
    yield path, set(schema["properties"])
    for key, child in schema["properties"].items():
        yield from objects(child, f"{path}.{key}".lstrip("."))


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["appVersion"]}"\n' in project


def test_the_operator_gets_no_wildcard_and_nothing_of_the_whole_cluster() -> None:
    rules = yaml.safe_load((CHART / "files" / "role.yaml").read_text())["rules"]
    for rule in rules:
        for words in (rule["apiGroups"], rule["resources"], rule["verbs"]):
            assert words
            assert not any("*" in word for word in words)
        # A Role grants nothing outside its namespace: each rule must be of use there too.
        assert not {"namespaces", "nodes", "customresourcedefinitions"} & set(rule["resources"])
        assert "secrets" not in rule["resources"]


OF_HELM = [
    {"global": {}},
    {"global": {"imageRegistry": "registry.example.com", "storageClass": None}},
    {"enabled": True},
    {"enabled": False, "global": {"a": [1]}},
]
"""Values that Helm puts among those of a chart in another: all globals, and those of conditions."""


@pytest.mark.parametrize("values", OF_HELM, ids=json.dumps)
def test_the_schema_takes_what_helm_puts_among_the_values_of_a_dependency(values: Any) -> None:
    jsonschema.validate({**yaml.safe_load(VALUES), **values}, SCHEMA)


@pytest.mark.parametrize("values", [{"enabled": "yes"}, {"enable": True}, {"tags": {}}])
def test_the_schema_takes_nothing_else(values: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(VALUES), **values}, SCHEMA)
