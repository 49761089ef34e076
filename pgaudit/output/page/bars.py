"""Horizontal bars against a limit: stage times, sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pgaudit.output.page.chart import WIDE, Picture, Scale, axis_below, group, label, line, rectangle

ROW, BAR, HEAD, BELOW, TOP = 20, 12, 26, 28, 4
LEFT, RIGHT = 104, 100
"""Room for what a bar is called, and for its value."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its parts from the left, each with the class that styles it, and its value in words."""

    name: str
    parts: tuple[tuple[str, float], ...]
    value: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars that are held against one limit."""

    title: str
    bars: tuple[Bar, ...]
    limit: float | None = None


def bar_picture(
    name: str, title: str, description: str, blocks: Sequence[Bars], text: Callable[[float], str]
) -> Picture:
    """Blocks of bars one below the other, on one scale. ``text`` writes the numbers of the axis."""
    height = TOP + sum(HEAD + ROW * len(block.bars) for block in blocks) + BELOW
    return Picture(name, title, description, height, lambda width: _draw(blocks, text, width, height))


def _draw(blocks: Sequence[Bars], text: Callable[[float], str], width: int, height: int) -> Markup:
    totals = [sum(size for _, size in bar.parts) for block in blocks for bar in block.bars]
    limits = [block.limit for block in blocks if block.limit is not None]
    x = Scale(0, 1.04 * max([*totals, *limits, 1e-9]), LEFT, width - RIGHT)
    parts = [axis_below(x, height - BELOW, TOP + HEAD, x.ticks(6 if width == WIDE else 3), text)]
    y = float(TOP)
    for block in blocks:
        parts.append(label(0, y + 17, block.title, kind="head"))
        y += HEAD
        parts += [_bar(bar, x, y + ROW * index) for index, bar in enumerate(block.bars)]
        end = y + ROW * len(block.bars)
        if block.limit is not None:
            parts.append(line(x(block.limit), y - 3, x(block.limit), end, "limit"))
        y = end
    return group(parts)


def _bar(bar: Bar, x: Scale, y: float) -> Markup:
    at, drawn = 0.0, []
    for kind, size in bar.parts:
        drawn.append(rectangle(x(at), y + (ROW - BAR) / 2, x(at + size) - x(at), BAR, kind))
        at += size
    return group(
        (
            label(LEFT - 8, y + 14, bar.name, anchor="end", kind="number"),
            *drawn,
            label(x.end + 8, y + 14, bar.value, kind="number"),
        )
    )
