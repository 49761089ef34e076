"""No log shows the claimed score.

## What it flags
A val_bpb in submission.json that no line of any log prints and that is not the mean of several logs; and logs of which none
comes to a score.

## Why it is not allowed
A submission includes the logs of its runs, so that its score can be checked. Rows whose logs show another score were not accepted.

## How it decides
Every line that prints a score counts, of every stage, and every mean of one stage over some of the logs, with room for rounding.
An error needs a claim that is better than all that the logs end with by more than rounding, or worse by so much that it is of another
evaluation, or logs that end with an exception; a claim that is a little worse harms nobody and is a note, as are logs that only sum up.

## Known limits
A score whose log was not shipped, of several runs of which others were. Whether the log belongs to the script is another rule.

## How to fix
Ship the log of the run that the score is of, or correct the score.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Metric, Stop
from pgaudit.evidence.numbers import Figure, number
from pgaudit.evidence.support import SCORE_TOLERANCE, averaged, prints
from pgaudit.finding import Finding, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="log-mismatch",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README, "0hq", "2026-03-18", "README", "A submission holds the train log that the script produced."
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-04",
            "#86",
            "The log shows another score than the claimed one; the claim could not be reproduced.",
        ),
    ),
)

ROUNDING = 0.0005
"""Bits per byte that rounding and a mean over other digits may come to."""
ANOTHER = 0.02
"""Bits per byte by which a worse claim is of another evaluation altogether."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look for the claimed score in the logs."""
    claim = evidence.claims.get("val_bpb") if evidence.claims else None
    score = number(claim.value) if claim else None
    logs = [log for log in evidence.logs if log.lines]
    if claim is None or not score or score <= 0 or not logs:
        return
    finals = [log.final for log in logs if log.final]
    if not finals:
        yield _without_score(evidence, claim.location)
        return
    tolerance = max(SCORE_TOLERANCE, Figure.read(repr(score)).error)
    shown = any(prints(metric, [score], tolerance) for log in logs for metric in log.metrics)
    if not shown and not averaged(logs, score):
        written = any(_is_written(score, evidence.lines_of(log)) for log in logs)
        yield _another(score, finals, claim.location, written=written)


def _is_written(score: float, lines: tuple[str, ...]) -> bool:
    """Do the claim's digits stand anywhere in a log: in a table, in JSON?"""
    digits = f"{score:.4f}"
    return any(digits in line for line in lines)


def _without_score(evidence: Evidence, claim: Location) -> Finding:
    failed = [place for log in evidence.logs if log.stop is Stop.CRASH for place in log.tracebacks]
    ends = ": the run ended with an error" if failed else ""
    return RULE.finding(
        f"no log comes to a validation score{ends}",
        claim,
        steps=tuple(Step(place, "the run fails here") for place in failed[:3]),
        severity=Severity.ERROR if failed else Severity.NOTE,
    )


def _another(score: float, finals: list[Metric], claim: Location, *, written: bool) -> Finding:
    values = [metric.val_bpb.value for metric in finals if metric.val_bpb]
    decided = not written and (score < min(values) - ROUNDING or score > max(values) + ANOTHER)
    found = ", ".join(f"{value:.5f}" for value in sorted(values)[:5])
    return RULE.finding(
        f"no log shows the claimed {score:g}: the logs end with {found}",
        claim,
        steps=tuple(Step(metric.location, "the log ends with this score") for metric in finals[:5]),
        severity=Severity.ERROR if decided else Severity.NOTE,
        facts={"claimed": score, "logged": sorted(values)[:5]},
    )
