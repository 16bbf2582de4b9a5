"""``python -m reference FOLDER``: writes the pages into a folder."""

import sys
from pathlib import Path

from reference import PAGES

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(sys.argv[1]) / name).write_text(page())
