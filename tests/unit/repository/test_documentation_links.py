"""Links in the documentation lead somewhere."""

import re
import subprocess

import pytest
from repository_paths import ROOT

TRACKED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.splitlines()
PAGES = [name for name in TRACKED if name.endswith(".md") and (ROOT / name).exists()]
OUTSIDE = re.compile(r"[a-z]+:")
_MENTION = re.compile(r"(?<![\w/.])docs/[\w/.-]+\.md\b")


def links(text: str) -> list[str]:
    """The targets of a page's links, but those in its code."""
    prose = re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    linked = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in linked}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    text = (ROOT / page).read_text()
    for link in links(text):
        if OUTSIDE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert target.resolve().is_relative_to(ROOT), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{page}: {link}"


@pytest.mark.parametrize(
    "name",
    [name for name in TRACKED if name.endswith((".py", ".yaml", ".sh", ".txt", "Dockerfile"))],
)
def test_every_page_that_the_code_mentions_exists(name: str) -> None:
    if not (ROOT / name).is_file():
        return
    for page in _MENTION.findall((ROOT / name).read_text()):
        assert (ROOT / page).exists(), f"{name}: {page}"


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {
        (index.parent / link.partition("#")[0]).resolve() for link in links(index.read_text())
    }
    pages = {ROOT / page for page in PAGES if page.startswith("docs/")}
    assert {page for page in pages - listed - {index} if "runbooks" not in page.parts} == set()


def test_the_tree_of_the_architecture_has_every_folder_of_code() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    shown = {name.rstrip("/").split("/")[-1] for name in re.findall(r"[\w/.-]+/(?=[\s,])", tree)}
    packages = {name.split("/")[-2] for name in TRACKED if name.endswith("/__init__.py")}
    assert {name for name in packages if not name.startswith("blockqnn_")} <= shown
    assert {name.split("/")[0] for name in TRACKED if "/" in name and name[0] != "."} <= {
        path.split("/")[0] for path in re.findall(r"^[\w/.-]+/", tree, re.MULTILINE)
    }


def test_anchors_are_those_of_the_headings() -> None:
    text = "# One\n## spec.agent.replay\n```sh\n# no heading\n```\n### What's `this`, then?\n"
    assert anchors(text) == {"one", "specagentreplay", "whats-this-then"}
