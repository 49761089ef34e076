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
Write the number; `pgaudit fix` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from pgaudit.evidence.blanks import blanks, seed_of
from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Finding, Severity, Step
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


def check(evidence: Evidence) -> Iterator[Finding]:
    """Name what the log has for the blank cells of every row that is about one seed."""
    rows = evidence.readme.rows if evidence.readme else ()
    for row, cells in groupby(blanks(rows, evidence.logs), key=attrgetter("row")):
        found = list(cells)
        filled = ", ".join(f"{blank.head} is {blank.text}" for blank in found)
        yield RULE.finding(
            f"the row of seed {seed_of(row)} leaves blank what its log has: {filled}",
            row.location,
            steps=tuple(Step(blank.source, f"{blank.head}: {blank.text}") for blank in found),
        )
