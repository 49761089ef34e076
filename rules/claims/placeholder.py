"""The submission says that its log or its score is a placeholder.

## What it flags
A sentence of the README, or a text in submission.json, that calls the log, the score or the results a placeholder, synthesised or made
up.

## Why it is a defect
A claim without a run is no evidence, and says so itself.

## How it decides
The words placeholder, synthesised, fabricated, made up and dummy in one sentence with log, score, bpb, result or metric, unless the
sentence denies it (`no placeholders`).

## Known limits
Submissions that say it in other words, or not at all.

## How to fix
Run it, and ship the log; or say in the title that it is a proposal, and claim no score.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Location
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
    ),
)

INVENTED = re.compile(r"\b(?:placeholders?|synthesi[sz]ed|fabricated|made[- ]up|dummy)\b", re.IGNORECASE)
EVIDENCE = re.compile(r"(?<![a-z])(?:logs?|scores?|bpb|results?|metrics?)(?![a-z])", re.IGNORECASE)
DENIED = re.compile(r"\b(?:no|not|never|without|nor|neither)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.;!?])\s+")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Read the README and the texts of submission.json sentence by sentence; one finding."""
    for sentence, place in _texts(evidence):
        if INVENTED.search(sentence) and EVIDENCE.search(sentence) and not DENIED.search(sentence):
            yield RULE.finding(
                "the submission calls its own evidence a placeholder", place, confidence=Confidence.MEDIUM
            )
            return


def _texts(evidence: Evidence) -> Iterator[tuple[str, Location]]:
    readme, claims = evidence.readme, evidence.claims
    for place, line in readme.mentions(INVENTED) if readme else ():
        yield from ((sentence, place) for sentence in _SENTENCE.split(line))
    document = claims.document if claims else None
    if claims and isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str):
                yield from ((sentence, claims.at(key)) for sentence in _SENTENCE.split(value))
