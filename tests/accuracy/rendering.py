"""Tables for people: aligned columns for a terminal, pipes for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pgaudit.output import escape

Row = Sequence[str | int]


class Style(NamedTuple):
    """How a report is written."""

    heading: Callable[[str], str]
    table: Callable[[Row, Sequence[Row]], list[str]]
    safe: Callable[[str], str]
    """Untrusted text on one line."""
    item: Callable[[int], str]
    """What a list entry at a depth begins with."""


def _aligned(header: Row, rows: Sequence[Row]) -> list[str]:
    """The first column to the left, numbers to the right."""
    widths = [max(len(str(row[column])) for row in (header, *rows)) for column in range(len(header))]
    return [
        "  ".join(
            str(cell).rjust(width) if column else str(cell).ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]


def _pipes(header: Row, rows: Sequence[Row]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(map(str, row))} |" for row in (header, rule, *rows)]


TEXT = Style(lambda title: f"{title}\n{'-' * len(title)}", _aligned, escape.plain, lambda depth: "  " * depth)
MARKDOWN = Style(lambda title: f"## {title}\n", _pipes, escape.markdown, lambda depth: f"{'  ' * depth}- ")
