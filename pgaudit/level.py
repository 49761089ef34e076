"""How far a score has been verified by reading alone: do the claims match the logs that were shipped?"""

from __future__ import annotations

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import number
from pgaudit.verdict import Level

TOLERANCE = 5e-4
"""Bits per byte; claims are rounded to three or more decimals."""


def level_of(evidence: Evidence) -> Level:
    """``consistent`` if the claimed val_bpb is a score that a shipped log prints, or the mean of the logs' final scores."""
    claim = evidence.claims.get("val_bpb") if evidence.claims else None
    claimed = number(claim.value) if claim else None
    if claimed is None or not evidence.logs:
        return Level.CLAIMED
    whole = [m.val_bpb.value for log in evidence.logs for m in log.metrics if m.val_bpb and not m.partial]
    finals = [log.final.val_bpb.value for log in evidence.logs if log.final and log.final.val_bpb]
    scores = [*whole, sum(finals) / len(finals)] if finals else whole
    return Level.CONSISTENT if any(abs(score - claimed) <= TOLERANCE for score in scores) else Level.CLAIMED
