"""The README's title gives another score than submission.json.

## What it flags
A val_bpb in the README's title that is not the claimed one, rounded to its digits.

## Why it is a defect
Two scores for one submission: readers of the title and readers of the leaderboard see different records. Often one is the mean and the
other the best seed.

## How it decides
The numbers in the title that are called bpb, against the val_bpb of submission.json; one of them has to be it.

## Known limits
Titles without a score, or with that of a predecessor only.

## How to fix
Give the mean over the seeds in both places.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import number
from pgaudit.finding import Confidence, Finding, Severity, Step
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
            "2026-03-24",
            "#505",
            "Two scores are stated for one submission.",
        ),
    ),
)

ROUNDING = 6e-5
"""Bits per byte: titles give four decimals."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the title with the claim."""
    claim = evidence.claims.get("val_bpb") if evidence.claims else None
    score = number(claim.value) if claim else None
    readme = evidence.readme
    title = readme.headings[0].location if readme and readme.headings else None
    if claim is None or not score or readme is None or title is None:
        return
    stated = [said.value for said in readme.scores if said.location.line == title.line]
    if stated and all(abs(value - score) > ROUNDING for value in stated):
        yield RULE.finding(
            f"the title gives {stated[0]:g}, submission.json {score:g}",
            title,
            steps=(Step(claim.location, f"val_bpb is {score:g} here"),),
            confidence=Confidence.MEDIUM,
            facts={"title": stated[0], "claimed": score},
        )
