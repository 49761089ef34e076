"""Training took longer than the limit.

## What it flags
A log of the claimed runs, in the 10-minute track, whose training time is above the limit.

## Why it is not allowed
Submissions to the record track train for at most 600 seconds on eight H100. Runs of 601 and 602 seconds had to be done again before
they were accepted; the official loop stops after the step that passes the limit, and runs up to 0.2 seconds over it were merged.

## How it decides
The last training time of each log that shows a claimed score, as the run measured it. Above the limit by more than a second it is an
error; between the accepted grace and a second it is a note, because nothing in between was ever ruled on. Logs of other runs
(ablations, longer trainings) are left alone where some log shows the claimed score.

## Known limits
The run's own clock is believed. Quantisation and calibration outside of it are `calibration/after-budget`.

## How to fix
Stop at a step that ends inside the limit (`MAX_WALLCLOCK_SECONDS`), or submit to the non-record track.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="overtime-train",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README, "0hq", "2026-03-18", "README", "Record submissions train in at most 10 minutes on 8xH100."
        ),
        Ruling(
            Strength.MERGE,
            "cocohearts",
            "2026-05-02",
            "#1945",
            "A run of 602.0 s was replaced by one below 600 s before it was accepted.",
        ),
    ),
)

ONE_SECOND = 1.0
"""What was sent back was longer over the limit than this; what was merged was 0.14 s over."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Hold the training time of every claimed run against the limit."""
    if evidence.submission.track != "record":
        return
    limit = evidence.edition["train_seconds"].applied
    grace = evidence.edition["train_grace_seconds"].applied
    over = [time for log in evidence.claimed_logs if (time := log.loop_time) and time.seconds > limit + grace]
    longest = max(over, key=lambda time: time.seconds, default=None)
    if longest is not None:
        yield RULE.finding(
            f"training took {longest.seconds:.1f} s of {limit:g} s",
            longest.location,
            steps=tuple(Step(time.location, f"{time.seconds:.1f} s") for time in over),
            severity=Severity.ERROR if longest.seconds > limit + ONE_SECOND else Severity.NOTE,
            facts={"seconds": round(longest.seconds, 3), "limit_seconds": limit, "grace_seconds": grace},
        )
