"""Small drawings as inline SVG; colours come from the page's style, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convert.report.markup import Html, join, tag

WIDTH, HEIGHT = 960, 300  # px of the view box; the browser scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 12, 34


@dataclass(frozen=True, slots=True)
class Axes:
    """Where numbers lie on the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]
    size: tuple[int, int] = (WIDTH, HEIGHT)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Data -> px of the view box."""
        width, height = self.size[0] - _LEFT - _RIGHT, self.size[1] - _TOP - _BOTTOM
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return round(_LEFT + across * width, 1), round(_TOP + (1 - up) * height, 1)

    def frame(self, ys: Sequence[float], xs: Sequence[float], names: tuple[str, str]) -> Html:
        """Grid lines with their numbers, and what the axes are."""
        parts = []
        for y in ys:
            (x1, level), (x2, _) = self.at(self.x[0], y), self.at(self.x[1], y)
            parts.append(tag("line", x1=x1, x2=x2, y1=level, y2=level, class_="grid"))
            parts.append(tag("text", f"{y:g}", x=_LEFT - 6, y=level + 4, text_anchor="end"))
        for x in xs:
            px, bottom = self.at(x, self.y[0])
            parts.append(tag("text", f"{x:g}", x=px, y=bottom + 16, text_anchor="middle"))
        parts.append(tag("text", names[0], x=self.size[0] - _RIGHT, y=self.size[1] - 4, text_anchor="end"))
        parts.append(tag("text", names[1], x=_LEFT + 6, y=_TOP + 8))
        return join(parts)


def scatter(points: Sequence[tuple[float, float, str, bool]], axes: Axes, frame: Html, title: str) -> Html:
    """Dots (x, y, what to say of it, whether it is low), joined by a line in their order."""
    line = " ".join("{},{}".format(*axes.at(x, y)) for x, y, _, _ in points)
    dots = []
    for x, y, words, low in points:
        cx, cy = axes.at(x, y)
        dots.append(
            tag("circle", tag("title", words), cx=cx, cy=cy, r=4 if low else 2.6, class_="dot low" if low else "dot")
        )
    return _svg(axes.size, title, frame, tag("polyline", points=line, class_="trace") if line else None, *dots)


def cloud(points: Sequence[tuple[float, float]], axes: Axes, frame: Html, title: str) -> Html:
    """Dots over the diagonal: where both agree they lie on it."""
    (x1, y1), (x2, y2) = axes.at(axes.x[0], axes.y[0]), axes.at(axes.x[1], axes.y[1])
    diagonal = tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="mark")
    dots = [tag("circle", cx=px, cy=py, r=2.4, class_="dot") for px, py in (axes.at(x, y) for x, y in points)]
    return _svg(axes.size, title, frame, diagonal, *dots)


def curves(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], axes: Axes, frame: Html, title: str,
           marks: Sequence[float] = ()) -> Html:  # fmt: skip
    """Lines ("float" or "int8", points), and upright marks."""
    drawn = []
    for kind, points in lines:
        path = " ".join("{},{}".format(*axes.at(x, y)) for x, y in points)
        drawn.append(tag("polyline", points=path, class_="trace float" if kind == "float" else "trace"))
    for x in marks:
        (px, top), (_, bottom) = axes.at(x, axes.y[1]), axes.at(x, axes.y[0])
        drawn.append(tag("line", x1=px, x2=px, y1=top, y2=bottom, class_="mark"))
    return _svg(axes.size, title, frame, *drawn)


def bars(pairs: Sequence[tuple[float, float]], most: float = 1.0) -> list[Html]:
    """A small drawing a row: the float number over the int8 one."""
    drawn = []
    for reference, own in pairs:
        rows = [
            tag("rect", x=0, y=y, height=6, rx=2, width=round(100 * max(0.0, value) / (most or 1), 1), class_=kind)
            for y, value, kind in ((1, reference, "bar float"), (9, own, "bar"))
        ]
        label = f"float {reference:.3f}, int8 {own:.3f}"
        drawn.append(tag("svg", *rows, viewBox="0 0 100 16", role="img", aria_label=label, style="width:100px"))
    return drawn


KEY = tag("span", tag("i", "", class_="float"), "float", tag("i", ""), "int8", class_="key")


def _svg(size: tuple[int, int], title: str, *children: Html | None) -> Html:
    return tag("svg", *children, viewBox=f"0 0 {size[0]} {size[1]}", role="img", aria_label=title)
