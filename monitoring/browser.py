"""A real browser without a window, to see what a page looks like and what it complains of."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from blockqnn.errors import BlockQNNError
from monitoring.debian import CHROMIUM, fetch

OPTIONS = (
    "--headless",
    # The pages are the project's own, and containers often cannot nest a sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)

SECONDS = 120
"""Seconds that a page may take; two on an idle machine."""


class BrowserFailed(BlockQNNError):
    """The browser ended without showing the page."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as the browser has laid it out."""

    document: str
    """The document afterwards, as HTML."""
    complaints: tuple[str, ...]
    """Messages on the console: errors and warnings, and all else."""

    def data(self, name: str) -> Any:
        """Return the JSON that a script of the page left in ``document.body.dataset``."""
        found = re.search(rf'data-{name}="([^"]*)"', self.document)
        return json.loads(unescape(found[1])) if found else None


def show(page: Path, width: int, height: int = 900) -> Shown:
    """Lay a page out in a window of a size.

    Raises:
        Unavailable: when there is no browser.
        BrowserFailed: when it does not show the page.
    """
    done = _browse(page, width, height, "--dump-dom")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Shown(done.stdout, tuple(console))


def photograph(page: Path, picture: Path, width: int, height: int, *, dark: bool = False) -> None:
    """Write a picture of a page as a PNG.

    Raises:
        Unavailable: when there is no browser.
        BrowserFailed: when it does not show the page.
    """
    theme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    _browse(page, width, height, f"--screenshot={picture.resolve()}", *theme)
    if not picture.exists():
        raise BrowserFailed(f"The browser made no picture of {page}.")


def _browse(page: Path, width: int, height: int, *options: str) -> subprocess.CompletedProcess[str]:
    browser = fetch(CHROMIUM)
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as home:
        own = (f"--user-data-dir={home}/profile", f"--window-size={width},{height}")
        done = subprocess.run(
            [str(browser.path), *OPTIONS, *own, *options, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env=browser.environment | {"HOME": home},
        )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise BrowserFailed(f"The browser ended with status {done.returncode}: {said[0]}")
    return done
