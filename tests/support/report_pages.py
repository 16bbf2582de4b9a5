"""Reading the pages of reports: their pictures, and whether their elements are balanced."""

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree


def pictures(page: str) -> list[ElementTree.Element]:
    """The pictures of a page; they must be well-formed on their own."""
    texts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    return [ElementTree.fromstring(text) for text in texts]


class Balanced(HTMLParser):
    """Checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
