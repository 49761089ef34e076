"""Blank cells of the README's tables that a log fills."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pgaudit.evidence.logs import Log
from pgaudit.evidence.readme import Row
from pgaudit.finding import Location

_SEED = re.compile(r"(?:seed\W*)?(\d{1,10})", re.IGNORECASE)
_SAYS = re.compile(r"[A-Za-z0-9]")
_SIZE = re.compile(
    r"\W*(?:artifact|total|submission)\W*(?:size|bytes)?\W*(?:\(?bytes\)?)?\W*|bytes_total", re.IGNORECASE
)
_STEM = 5
"""Letters in which two words for one stage agree: pre-quant, pre-quantization."""


class Blank(NamedTuple):
    """One cell without a letter or digit in the row of a seed, and what the log of that seed has for its column."""

    row: Row
    column: int
    text: str
    source: Location

    @property
    def head(self) -> str:
        """The head of the column."""
        return self.row.head[self.column]


def blanks(rows: Iterable[Row], logs: Iterable[Log]) -> Iterator[Blank]:
    """The blank cells that the last log of the row's seed fills: sizes from its total, scores from the stage that the head names."""
    logs = tuple(logs)
    for row in rows:
        own = [log for log in logs if seed_of(row) in {str(seed.value) for seed in log.seeds}]
        if len(row.head) != len(row.cells) or any(mark in row.location.text for mark in ("\\|", "`")):
            continue  # a bar inside a cell moves the columns
        for column, (head, cell) in enumerate(zip(row.head, row.cells, strict=True)):
            found = _value(head, own[-1]) if own and head and not _SAYS.search(cell) else None
            if found:
                yield Blank(row, column, *found)


def seed_of(row: Row) -> str:
    """The number that is the row's first cell, as text; empty where anything else stands there."""
    match = _SEED.fullmatch(row.cells[0].strip("*` "))
    return match[1] if match else ""


def _value(head: str, log: Log) -> tuple[str, Location] | None:
    """What the log has for a column, with its place."""
    if _SIZE.fullmatch(head) and log.totals:
        total = log.totals[-1]
        return f"{total.bytes:,} bytes", total.location
    if "bpb" not in head.lower():
        return None
    wanted = {word[:_STEM] for word in re.findall(r"[a-z]{3,}", head.lower()) if word != "bpb"}
    for metric in reversed(log.metrics):
        stage = {word[:_STEM] for word in re.findall(r"[a-z]{3,}", metric.stage.lower())}
        if metric.val_bpb and not metric.partial and metric.step is None and wanted and wanted <= stage:
            return f"{metric.val_bpb.value:g}", metric.location
    return None
