"""HTML from the standard library: text is escaped unless it is markup already."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from maquette.quantities import duration, number, size

_VOID = frozenset({"br", "img", "meta"})


class Html(str):
    """Text that is markup; what is added to it is escaped unless it is markup too."""

    __slots__ = ()

    def __add__(self, other: str) -> Html:
        return joined((self, other))


def element(tag: str, *children: str, **attributes: str) -> Html:
    """An element; a child that is no Html is text. `class_` is written `class`."""
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for name, value in attributes.items()
    )
    if tag in _VOID:
        return Html(f"<{tag}{told}>")
    return Html(f"<{tag}{told}>{joined(children)}</{tag}>")


def joined(parts: Iterable[str]) -> Html:
    """Parts one after the other."""
    return Html("".join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], class_: str = "") -> Html:
    """A table, without headings where none are given; of each row the first cell is its own."""
    cells = [element("th", heading, scope="col") for heading in headings]
    head = element("thead", element("tr", *cells)) if cells else ""
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    whole = element("table", head, element("tbody", *body), class_=class_)
    return element("div", whole, class_="wide")


def figure(picture: str, caption: str, class_: str = "") -> Html:
    """A picture with the words below it."""
    return element("figure", picture, element("figcaption", caption), class_=class_)


def bullets(sentences: Iterable[str]) -> Html:
    """A list of sentences; nothing when there are none."""
    items = [element("li", sentence) for sentence in sentences]
    return element("ul", *items) if items else Html("")


def quantity(name: str, value: object) -> str:
    """A number as its name's unit says: bytes, seconds, shares."""
    is_amount = isinstance(value, int | float) and not isinstance(value, bool)
    if is_amount and name.endswith("_bytes"):
        return size(float(str(value)))
    if is_amount and (name.endswith("_s") or name == "seconds") and "_per_" not in name:
        return duration(float(str(value)))
    if is_amount and name.endswith(("_share", "_ratio")):
        return f"{100 * float(str(value)):.3g} %"
    return number(value)


def label(name: str) -> str:
    """A number's name as words, without its unit."""
    for ending in ("_bytes", "_s"):
        name = name.removesuffix(ending)
    return name.replace("_", " ")
