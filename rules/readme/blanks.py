"""The README leaves cells blank that a log fills.

## What it flags
A row of a table for one seed with an empty cell, where the log of that seed has the number.

## Why it is a defect
The evidence is there and the table does not show it. Reviewers ask for the number.

## How it decides
Rows whose first cell names a seed that a log names as well; a cell without a letter or digit is blank. Columns of sizes are filled from
the log's total, columns of bpb from the stage of the log whose words stand in the column's head.

## Known limits
Tables that are turned round, with a seed in each column.

## How to fix
Write the number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log
from pgaudit.evidence.readme import Row
from pgaudit.finding import Finding, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="documentation",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(
        Ruling(
            Strength.COMMUNITY,
            "Copilot",
            "2026-04-08",
            "#1471",
            "The table leaves the values of one seed blank; its log has them.",
        ),
    ),
)

_SEED = re.compile(r"\d{1,10}")
_SAYS = re.compile(r"[A-Za-z0-9]")
_SIZE = re.compile(r"artifact|bytes|size", re.IGNORECASE)
_STEM = 5
"""Letters in which two words for one stage agree: pre-quant, pre-quantization."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Fill the blank cells of every row that is about one seed."""
    for row in evidence.readme.rows if evidence.readme else ():
        logs = [log for log in evidence.logs if _seed(row) in {str(seed.value) for seed in log.seeds}]
        blanks = [(head, value) for head in _blank(row) for log in logs[-1:] if (value := _value(head, log))]
        if blanks:
            filled = ", ".join(f"{head} is {text}" for head, (text, _) in blanks)
            yield RULE.finding(
                f"the row of seed {_seed(row)} leaves blank what its log has: {filled}",
                row.location,
                steps=tuple(Step(place, f"{head}: {text}") for head, (text, place) in blanks),
            )


def _seed(row: Row) -> str:
    match = _SEED.search(row.cells[0])
    return match[0] if match else ""


def _blank(row: Row) -> list[str]:
    """The heads of the columns in which the row has nothing."""
    return [head for head, cell in zip(row.head, row.cells, strict=False) if not _SAYS.search(cell) and head]


def _value(head: str, log: Log) -> tuple[str, Location] | None:
    """What the log has for a column, with its place."""
    if _SIZE.search(head) and log.totals:
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
