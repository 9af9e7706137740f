"""HTML made of strings that are safe by type: text is escaped unless it is Html already.

tag("p", "a < b", class_="warn")    <p class="warn">a &lt; b</p>
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from convert.report.style import STYLE

_VOID = ("img", "line", "circle", "rect", "path", "meta", "polyline")


class Html(str):
    """Markup, as opposed to text."""

    __slots__ = ()


Child = str | Html | float | int | None


def text(child: Child) -> str:
    """A child as markup: escaped unless it is Html; control characters, which HTML forbids, shown as �."""
    if isinstance(child, Html):
        return child
    if child is None:
        return ""
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else "�" for c in str(child)))


def tag(name: str, /, *children: Child, **attributes: Child) -> Html:
    """An element; class_ and for_ are class and for, other underscores are hyphens."""
    words = "".join(f' {k.rstrip("_").replace("_", "-")}="{text(v)}"' for k, v in attributes.items() if v is not None)
    if name in _VOID and not children:
        return Html(f"<{name}{words}/>")
    return Html(f"<{name}{words}>{''.join(map(text, children))}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Several in a row."""
    return Html("".join(map(text, children)))


def table(head: Sequence[Child], rows: Sequence[Sequence[Child]], class_: str | None = None) -> Html:
    """A table; its first column reads as text, the others as numbers."""
    top = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head)))
    body = tag(
        "tbody",
        *(tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows),
    )
    return tag("div", tag("table", top, body, class_=class_), class_="scroll")


def section(title: str, *children: Child, lead: str | None = None) -> Html:
    """A part of the page, with a sentence that says what to look at."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead") if lead else None, *children)


def figure(title: str, number: str, note: str, kind: str | None = None) -> Html:
    """A number that stands for itself, in the row at the top; kind "good" or "bad" colours it."""
    shown = " ".join(("tile", kind)) if kind else "tile"
    return tag("div", tag("span", title), tag("b", number), tag("small", note), class_=shown)


def document(title: str, *children: Child) -> bytes:
    """The whole page: one file, nothing fetched, readable without script (there is none)."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; img-src data:; style-src 'unsafe-inline'",
        ),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    return ("<!doctype html>\n" + tag("html", head, tag("body", tag("main", *children)), lang="en")).encode()
