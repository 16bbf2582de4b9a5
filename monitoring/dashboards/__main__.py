"""Writes the dashboards into a folder: ``python -m monitoring.dashboards FOLDER``."""

import sys
from pathlib import Path

from monitoring.dashboards import files

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text)
