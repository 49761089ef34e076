"""The code descends from a submission that was ruled on.

## What it flags
A submission most of whose own functions are, name for name or not, those of another one with a ruling.

## Why it is not allowed
A ruling on a mechanism holds for whoever takes the code over. To fork is allowed, and the fork may have repaired what was wrong, so that
nothing is decided by it.

## How it decides
Every function is compared by its lowered form, without names and literals, with the functions of the submissions in a corpus of rulings
(`--corpus`, made by `pgaudit corpus`). A function counts for as much as it is long and as few submissions have it. The submission that
shares the largest part is named, with the functions that tell most, if that part is at least half. Without a corpus nothing is said.

## Known limits
Code that was rewritten, and functions that were split or merged. What both took from a third one counts as shared.

## How to fix
Nothing has to be fixed: say whose code it is, and what became of the ruling.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.corpus import Kinship
from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Finding, Severity, Step
from pgaudit.rule import Rule

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="lineage",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(),  # the message cites the one on the submission that was forked
)

LEAST_SHARE = 0.5
"""Of the functions, by weight: less is common heritage."""
MOST_NAMED = 5
"""Functions that are shown."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Name the ruled submission that shares most of the code."""
    if evidence.corpus is None:
        return
    submission = evidence.submission
    kinship = evidence.corpus.nearest(evidence.functions, submission.origin.pr, submission.folder)
    if kinship is not None and kinship.share >= LEAST_SHARE:
        yield _finding(evidence, kinship)


def _finding(evidence: Evidence, kinship: Kinship) -> Finding:
    ruled, functions = kinship.ruled, [evidence.functions[mark] for mark in kinship.shared]
    why = f" ({', '.join(ruled.mechanisms)})" if ruled.mechanisms else ""
    return RULE.finding(
        f"{kinship.share:.0%} of its functions are those of #{ruled.pr}, which was ruled {ruled.verdict}{why}: {ruled.source}",
        functions[0].location,
        steps=tuple(Step(known.location, f"{known.name} is there, too") for known in functions[:MOST_NAMED]),
        facts={"pr": ruled.pr, "folder": ruled.folder, "share": round(kinship.share, 4), "functions": len(functions)},
    )
