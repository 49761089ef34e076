"""The parts of every picture: scales, axes and SVG elements. All text is escaped, all measures are in units of the view box."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from pgaudit.output.escape import plain

WIDE, NARROW = 640, 340
"""Widths of the two forms of a picture; the style shows the one whose letters are readable on the screen."""
GRID_LABEL = 6
"""Between an axis and its numbers."""
_NICE = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from data to the picture."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int, *, whole: bool = False) -> tuple[float, ...]:
        """At most ``most`` round numbers within the scale, whole ones where only those have a meaning."""
        step = _round_step((self.high - self.low) / max(most - 1, 1))
        if whole:
            step = max(1.0, 5.0 if step == 2.5 else step)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(index * step, 12) + 0.0 for index in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture is called, what it shows in words, and how it is drawn at a width."""

    name: str
    title: str
    description: str
    height: int
    draw: Callable[[int], Markup]

    def svg(self) -> Markup:
        """Both forms; only one is ever shown."""
        return Markup("\n").join(self._form(width, form) for width, form in ((WIDE, "wide"), (NARROW, "narrow")))

    def _form(self, width: int, form: str) -> Markup:
        name = f"{self.name}-{form}"
        return element(
            "svg",
            element("title", plain(self.title), id=f"{name}-title"),
            element("desc", plain(self.description), id=f"{name}-desc"),
            self.draw(width),
            viewBox=f"0 0 {width} {self.height}",
            class_=form,
            role="img",
            aria_labelledby=f"{name}-title {name}-desc",
        )


def element(tag: str, *children: Markup | str, **attributes: str | float) -> Markup:
    """One SVG element; ``class_`` stands for ``class`` and other underscores for hyphens."""
    shown = (
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _number(value))
        for name, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup().join(shown), Markup().join(map(escape, children)))


def group(parts: Iterable[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("\n").join(parts)


def label(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> Markup:
    """A text at a place."""
    return element("text", plain(text), x=x, y=y, text_anchor=anchor, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """A filled rectangle; a width below zero is none."""
    return element("rect", x=x, y=y, width=max(width, 0.0), height=height, class_=kind)


def path(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through points."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=kind)


def clipped(x: Scale, y: Scale, *children: Markup) -> Markup:
    """Elements cut off outside the area of two scales: an inner picture shows nothing beyond its own edge."""
    top, height = min(y.start, y.end), abs(y.end - y.start)
    width = x.end - x.start
    box = f"{x.start:.1f} {top:.1f} {width:.1f} {height:.1f}"
    return element("svg", *children, x=x.start, y=top, width=width, height=height, viewBox=box)


def axis_below(x: Scale, y: float, top: float, ticks: Sequence[float], text: Callable[[float], str]) -> Markup:
    """Numbers under a picture and thin lines up from them."""
    return group(
        part
        for tick in ticks
        for part in (
            line(x(tick), top, x(tick), y, "grid"),
            label(x(tick), y + GRID_LABEL + 10, text(tick), anchor="middle", kind="number"),
        )
    )


def axis_left(y: Scale, x: Scale, ticks: Sequence[float], text: Callable[[float], str]) -> Markup:
    """Numbers to the left of a picture and thin lines across from them."""
    return group(
        part
        for tick in ticks
        for part in (
            line(x.start, y(tick), x.end, y(tick), "grid"),
            label(x.start - GRID_LABEL, y(tick) + 4, text(tick), anchor="end", kind="number"),
        )
    )


def signed(value: float) -> str:
    """A difference, with its sign; zero has none."""
    return f"{value:+g}" if value else "0"


def padded(values: Iterable[float], part: float = 0.06, least: float = 1e-9) -> tuple[float, float]:
    """A range that holds the values and some room on both sides; never empty."""
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    room = max((high - low) * part, least, abs(high) * 1e-9)
    return low - room, high + room


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}"
