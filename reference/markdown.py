"""Tables and code spans in Markdown."""

from collections.abc import Iterable, Sequence

GENERATED = "<!-- `make generate` writes this page from the code. -->\n"
"""First line of every page."""


def page(title: str, *parts: str) -> str:
    """Return a page from its title and its parts, with blank lines between them."""
    return "\n".join([GENERATED, f"# {title}\n", *(f"{part.strip()}\n" for part in parts if part)])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; line ends in cells become spaces, blank lines a break."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "<br>".join(part for part in paragraphs if part).replace("|", r"\|")


def code(text: str) -> str:
    """Return a code span, or nothing for an empty text."""
    return f"`{text}`" if text else ""


def codes(texts: Iterable[str]) -> str:
    """Return code spans, separated by commas."""
    return ", ".join(map(code, texts))


def single(text: str) -> str:
    """Turn the double backticks of docstrings into the single ones of Markdown."""
    return text.replace("``", "`")
