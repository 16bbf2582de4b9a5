"""The names that trainers of somebody else's, examples and notebooks may rely on."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository_paths import ROOT
from strategy_packages import PAGE, documented

PACKAGES = ("blockqnn", "blockqnn_trainer")
MODULES = (*PACKAGES, "blockqnn.strategies")
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES)
def test_every_public_name_is_there(path: str) -> None:
    module = importlib.import_module(path)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (name.islower(), name))
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = importlib.import_module("blockqnn_trainer").Trainer


def test_importing_the_trainer_imports_no_torch() -> None:
    program = "import sys, blockqnn_trainer; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def check_imports(program: str) -> None:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("blockqnn"):
            assert node.module in MODULES
            public = importlib.import_module(node.module).__all__
            assert {alias.name for alias in node.names} <= set(public)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_import_public_names_alone(path: Path) -> None:
    check_imports(path.read_text())


def test_the_documented_strategy_imports_public_names_alone() -> None:
    check_imports(documented("python"))
    named = re.findall(r"`blockqnn\.strategies\.(\w+)", PAGE.read_text())
    assert {"Strategy", "RandomPhase"} <= set(named)
    assert set(named) <= set(importlib.import_module("blockqnn.strategies").__all__)


@pytest.mark.parametrize("page", ["use-your-own-trainer.md", "train-finalists.md"])
def test_pages_name_public_names(page: str) -> None:
    text = (ROOT / "docs" / "tasks" / page).read_text()
    named = re.findall(r"`(blockqnn|blockqnn_trainer)\.(?!dev)(\w+)", text)
    assert named
    for package, name in named:
        assert name in importlib.import_module(package).__all__


@pytest.mark.parametrize("folder", ["agent", "operator", "trainer_image", "cli"])
def test_shipped_packages_are_typed(folder: str) -> None:
    (marker,) = (ROOT / folder).glob("blockqnn*/py.typed")
    assert marker.is_file()
