"""The evaluation that made the score took longer than the limit.

## What it flags
A claimed score, in the 10-minute track, whose own evaluation is above the limit by the time that is printed with it.

## Why it is not allowed
Evaluation has 600 seconds of its own on eight H100; evaluations of 616 and 688 seconds were turned down.

## How it decides
The evaluation time on the log line of the claimed score. Other stages (diagnostics before quantisation, a plain pass beside the
one that counts) are added up as a fact: which of them belong to the score is not written in a log.

## Known limits
A stage that prepares the score and is timed on a line of its own, or not at all. The run's own clock is believed.

## How to fix
Make the evaluation faster, or submit to the non-record track.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log, Timing
from pgaudit.finding import Finding, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="overtime-eval",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "Evaluation has 10 minutes of its own, in addition to training.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-23",
            "#529",
            "An evaluation of 616 s is over the limit.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-02",
            "#1972",
            "About 688 s of timed evaluation are over the limit.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Hold the time of every claimed evaluation against the limit."""
    if evidence.submission.track != "record":
        return
    limit = evidence.edition["eval_seconds"].applied
    over = [time for log in evidence.claimed_logs for time in _of_score(evidence, log) if time.seconds > limit]
    longest = max(over, key=lambda time: time.seconds, default=None)
    if longest is not None:
        stages = sum(
            time.seconds for log in evidence.logs if log.path == longest.location.path for time in log.eval_times
        )
        yield RULE.finding(
            f"the evaluation that made the score took {longest.seconds:.1f} s of {limit:g} s",
            longest.location,
            steps=tuple(Step(time.location, f"{time.seconds:.1f} s") for time in over),
            facts={
                "seconds": round(longest.seconds, 3),
                "limit_seconds": limit,
                "all_stages_seconds": round(stages, 3),
            },
        )


def _of_score(evidence: Evidence, log: Log) -> list[Timing]:
    lines = {metric.location.line for metric in evidence.claimed_metrics(log)}
    return [time for time in log.eval_times if time.location.line in lines]
