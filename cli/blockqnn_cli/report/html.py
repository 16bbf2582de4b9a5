"""The parts that the sections of a report are made of."""

from collections.abc import Iterable, Sequence

from blockqnn_cli.report.svg import Markup, element, join


def section(title: str, *children: str, text: str = "", style: str = "") -> Markup:
    """Write a section with its heading and, below it, its content."""
    said = [element("p", text, class_="soft")] if text else []
    attributes = {"class_": style} if style else {}
    return element("section", element("h2", title), *said, *children, **attributes)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Write a table."""
    head = element("tr", *(element("th", title, scope="col") for title in titles))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    inner = element("table", element("thead", head), element("tbody", *body))
    return element("div", inner, class_="scroll")


def folded(summary: str, *children: str) -> Markup:
    """Write content that opens when its summary is touched."""
    return element("details", element("summary", summary), *children)


def legend(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Write the legend of a chart.

    Args:
        items: the shape of each mark, its colour, and what it means.
    """
    return element(
        "ul",
        *(
            element("li", element("i", class_=shape, style=f"color:var(--{colour})"), text)
            for shape, colour, text in items
        ),
        class_="legend",
    )


def tiles(items: Iterable[tuple[str, str, str]]) -> Markup:
    """Write the most important figures, each with its name, its value and a note."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", name),
                element("dd", value, class_="value"),
                element("dd", note, class_="note") if note else Markup(),
                class_="tile",
            )
            for name, value, note in items
        ),
        class_="tiles",
    )


def figure(*pictures: Markup, marks: Markup) -> Markup:
    """Write pictures with the legend that belongs to them."""
    return element("figure", join(pictures), element("figcaption", marks))
