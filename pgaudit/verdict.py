"""From findings and gaps to one verdict per record folder (ARCHITECTURE: principles 1 and 6)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pgaudit.finding import Finding, Gap, Severity


class Verdict(StrEnum):
    """What the report says of one record folder, in order of precedence."""

    ILLEGAL = "illegal"
    DEFECT = "defect"
    INCOMPLETE = "incomplete"
    REVIEW = "review"
    CLEAN = "clean"


class Level(StrEnum):
    """How far the score has been verified."""

    CLAIMED = "claimed"
    CONSISTENT = "consistent"
    PROBED = "probed"
    RE_RUN = "re-run"


def decide(findings: Iterable[Finding], gaps: Iterable[Gap]) -> Verdict:
    """The strongest verdict that the findings lead to; a gap alone never lets a folder pass as clean."""
    findings = list(findings)
    for verdict in (Verdict.ILLEGAL, Verdict.DEFECT):
        if any(f.decides and f.leads_to == verdict for f in findings):
            return verdict
    if any(True for _ in gaps):
        return Verdict.INCOMPLETE
    if any(f.severity is not Severity.NOTE or f.dormant for f in findings):
        return Verdict.REVIEW
    return Verdict.CLEAN
