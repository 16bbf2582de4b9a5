"""The report of a search in a real browser: every chart is there, and nothing is complained of."""

from datetime import timedelta
from pathlib import Path

import pytest
from cli_finalists import READY, RECORDS
from cli_searches import NOW, simulated
from monitoring.browser import photograph, show
from monitoring.debian import CHROMIUM, Unavailable, fetch

from blockqnn_cli.report.page import report

PAGE = report(simulated(done=56), NOW + timedelta(hours=1))

MEASURE = """
<script>
const drawn = [...document.querySelectorAll('svg')]
  .filter(s => s.getBoundingClientRect().width > 50 && s.getBoundingClientRect().height > 50);
document.body.dataset.measured = JSON.stringify({
  titles: drawn.map(s => s.querySelector('title').textContent),
  hidden: [...document.querySelectorAll('svg text')].filter(t => {
    const box = t.getBoundingClientRect();
    return box.width > 0 && (box.left < 0 || box.right > innerWidth) && !t.closest('.scroll');
  }).map(t => t.textContent),
  overflow: document.documentElement.scrollWidth - innerWidth,
});
</script>
"""
"""Tells the test what the browser has laid out. The report itself has no script."""


@pytest.fixture(scope="module", autouse=True)
def browser() -> None:
    """A browser; without one these tests are skipped, and say so."""
    try:
        fetch(CHROMIUM)
    except Unavailable as error:
        pytest.skip(f"NOT TESTED: {error}")


@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_shows_every_chart_without_a_complaint(width: int, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(PAGE + MEASURE)
    shown = show(page, width)
    assert shown.complaints == ()
    measured = shown.data("measured")
    blocks = ("The block", "The median block")
    charts = [title for title in measured["titles"] if not title.startswith(blocks)]
    assert charts == [
        "Learning curve",
        "Accuracy against parameters",
        "Types of layers over time",
    ], "the learning curve is there once, as wide or as narrow"
    best = [title for title in measured["titles"] if title.startswith("The block")]
    assert len(best) == 6, "the six best blocks are drawn"
    medians = len(measured["titles"]) - len(charts) - len(best)
    assert medians == 2, "the median blocks of both epsilon stages are drawn"
    assert measured["overflow"] <= 0
    assert measured["hidden"] == []


@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_shows_the_finalists(width: int, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(report(READY, NOW, trained=RECORDS) + MEASURE)
    shown = show(page, width)
    assert shown.complaints == ()
    measured = shown.data("measured")
    assert measured["titles"][0] == "Converged against early-stop accuracy"
    assert measured["overflow"] <= 0
    assert measured["hidden"] == []


def test_the_browser_would_complain(tmp_path: Path) -> None:
    """The assertions above can fail: a page with a fault has a complaint."""
    page = tmp_path / "broken.html"
    page.write_text("<body><script>undefinedFunction()</script>")
    assert "undefinedFunction is not defined" in show(page, 500).complaints[0]
    assert show(page, 500).data("measured") is None


def test_light_and_dark_look_different(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(PAGE)
    pictures = tmp_path / "light.png", tmp_path / "dark.png"
    photograph(page, pictures[0], 800, 600)
    photograph(page, pictures[1], 800, 600, dark=True)
    light, dark = (picture.read_bytes() for picture in pictures)
    assert light.startswith(b"\x89PNG")
    assert len(light) > 20_000, "it is no empty page"
    assert light != dark
