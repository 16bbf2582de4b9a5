"""The layout of the repository: what must never be in it, whoever changes it."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from repository_paths import ROOT

LONGEST_FILE = 500
"""Lines of the longest source file: one that is longer has more than one job."""

UNWANTED = {
    "the host of a package registry": (
        r"p[y]pi\.org|p[y]thonhosted\.org|n[p]mjs\.org|p[r]oxy\.golang\.org"
    ),
    "a path of one machine": r"(^|[^A-Za-z0-9_.$}~])/(w[o]rk|r[o]ot|h[o]me/[a-z]+)/[A-Za-z.]",
}
"""Text that no tracked file may hold; the patterns are written not to match themselves."""

TESTED = {
    "agent": "agent/blockqnn",
    "api": "api/blockqnn_api",
    "benchmarks": "benchmarks",
    "cli": "cli/blockqnn_cli",
    "devcluster": "devcluster/blockqnn_devcluster",
    "helm": "helm",
    "monitoring": "monitoring",
    "operator": "operator/blockqnn_operator",
    "reference": "reference",
    "repository": ".",
    "trainer": "trainer_image/blockqnn_trainer",
}
"""The folders of `tests/unit`, and the folder whose code each of them tests."""


def git(*arguments: str) -> list[str]:
    """The lines that a git command prints about the files of the working tree."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True
    )
    # git grep ends with 1 when it finds nothing.
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


@pytest.fixture(autouse=True, scope="module")
def _needs_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so nobody can say which files are the project's")


def test_no_top_level_package_shadows_the_standard_library() -> None:
    """operator/__init__.py would be imported wherever `import operator` stands."""
    assert "operator" in sys.stdlib_module_names
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not packages & sys.stdlib_module_names


def test_python_starts_from_the_root_without_the_site_module() -> None:
    """As in a fresh image, where no editable install has imported the real operator already."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import collections, operator; print(operator.__file__)"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).name == "operator.py"


def test_no_source_file_is_too_long() -> None:
    lengths = {
        name: len((ROOT / name).read_text().splitlines())
        for name in git("ls-files", "*.py", "Makefile", "*.md")
        if (ROOT / name).exists()
    }
    assert len(lengths) > 50
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}


@pytest.mark.parametrize("pattern", UNWANTED.values(), ids=UNWANTED)
def test_no_tracked_file_names(pattern: str) -> None:
    assert not git("grep", "-InE", pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("the host of a package registry", "https://p{}.org/simple".format("ypi")),
        ("a path of one machine", "open('/ro{}/.cache')".format("ot")),
        ("a path of one machine", "KUBECONFIG=/ho{}/me/.kube/config".format("me")),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: str, text: str) -> None:
    result = subprocess.run(["grep", "-qE", UNWANTED[pattern]], input=text, check=False, text=True)
    assert result.returncode == 0


def test_every_folder_of_code_is_shipped_or_a_tool() -> None:
    """A package that pyproject.toml does not know is found by nobody.

    The benchmarks alone are run where they lie: `python -m benchmarks.NAME`.
    """
    configuration = (ROOT / "pyproject.toml").read_text()
    packages = {name.rsplit("/", 1)[0] for name in git("ls-files", "*/__init__.py")}
    roots = {package for package in packages if package.count("/") == 1}
    roots = {root for root in roots if not root.startswith("benchmarks/")}
    assert not [root for root in sorted(roots) if f'"{root.split("/")[0]}' not in configuration]


def imports(path: Path) -> set[str]:
    """Return the parts of the names of all modules that a file imports."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import():
                modules += [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module)):
                modules += [module, *(alias.name for alias in node.names)]
    return {part for module in modules for part in module.split(".")}


def test_unit_tests_lie_in_the_folder_of_the_package_that_they_test() -> None:
    folders = {Path(name).parent for name in git("ls-files", "tests/unit/**test_*.py")}
    assert len(folders) > 20
    for folder in folders:
        package, *inner = folder.relative_to("tests/unit").parts or ("",)
        assert package in TESTED, f"{folder} is the folder of no package"
        assert ROOT.joinpath(TESTED[package], *inner).is_dir(), f"{folder} mirrors no folder"


def test_no_test_module_imports_another() -> None:
    """What several of them need is in `tests/support`, under a name that says what it is."""
    files = [ROOT / name for name in git("ls-files", "tests/*.py")]
    modules = {path.stem for path in files if path.name.startswith("test_")}
    assert len(modules) > 100
    importing = {path.name: imports(path) & modules for path in files if path.exists()}
    assert not {name: imported for name, imported in importing.items() if imported}


def test_no_folder_of_tests_shadows_the_standard_library() -> None:
    """The folders of tests are no packages, and what lies on their path has names of its own."""
    assert not git("ls-files", "tests/**__init__.py")
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    paths = configuration["tool"]["pytest"]["ini_options"]["pythonpath"]
    names = {path.stem for folder in paths for path in (ROOT / folder).iterdir()}
    assert "repository_paths" in names
    assert not names & sys.stdlib_module_names
