"""Makes the pictures of ``docs/tasks/monitor.md`` from a search of the current cluster.

``python -m monitoring.pictures NAME -n NAMESPACE -o docs/pictures``
"""

import argparse
import io
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from blockqnn.errors import BlockQNNError
from blockqnn_cli import terminal_views
from blockqnn_cli.commands.best import written
from blockqnn_cli.commands.status import SHOWN_EVENTS
from blockqnn_cli.report.page import report
from blockqnn_cli.searches import Searches
from monitoring.browser import photograph

COLUMNS = 100
"""The width of the terminal in the picture, in characters."""

PAGE = (1200, 1350)
"""The size of the report's picture, in pixels: its tiles, the learning curve, two charts."""


def main() -> int:
    """Make the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="name of a BlockSearch")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    try:
        _draw(options.namespace, options.name, options.output)
    except BlockQNNError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _draw(namespace: str, name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    searches = Searches()
    search = searches.get(namespace, name)
    console = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True)
    console.print(
        terminal_views.whole(search, searches.events(search, SHOWN_EVENTS), datetime.now(UTC))
    )
    terminal = console.export_svg(
        title=f"kubectl blockqnn status {name}", theme=MONOKAI, unique_id="status"
    )
    # The font would come from another host, which a picture should not need.
    terminal = re.sub(r"\s*@font-face \{[^}]*\}", "", terminal)
    (folder / "status.svg").write_text(terminal)
    (folder / "best.svg").write_text(written(search, "svg") + "\n")
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        page.write_text(report(search, datetime.now(UTC)))
        photograph(page, folder / "report.png", *PAGE)


if __name__ == "__main__":
    sys.exit(main())
