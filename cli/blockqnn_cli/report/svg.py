"""Elements of SVG and HTML as text."""

from collections.abc import Iterable
from html import escape

Attribute = str | float | int


class Markup(str):
    """Text that is markup already and must not be escaped again."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: Attribute) -> Markup:
    """Write an element.

    Args:
        tag: its name.
        children: its content; plain strings are escaped.
        attributes: ``_`` at the end of a name is left out, any other becomes ``-``.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def join(parts: Iterable[str]) -> Markup:
    """Write parts one after another; plain strings are escaped."""
    return Markup("".join(p if isinstance(p, Markup) else escape(p, quote=False) for p in parts))


def _value(value: Attribute) -> str:
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """Write a coordinate: a tenth of a unit is finer than any screen."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def path(points: Iterable[tuple[float, float]]) -> str:
    """Write a line through points as the data of a path."""
    return "M" + "L".join(f"{number(x)},{number(y)}" for x, y in points)


def picture(
    identity: str,
    title: str,
    text: str,
    size: tuple[float, float],
    *children: str,
    **more: Attribute,
) -> Markup:
    """Write a complete picture, with a title and a description for those who cannot see it."""
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{identity}-title"),
        element("desc", text, id=f"{identity}-text"),
        *children,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-text",
        **more,
    )
