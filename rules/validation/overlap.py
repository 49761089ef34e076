"""Training shards and validation tokens do not belong to one build of the data set.

## What it flags
A log whose number of training shards is that of a build that keeps only 10,000 documents for validation, beside validation tokens of
all 50,000: then 40,000 of the scored documents are in the training shards.

## Why it is illegal
The model is scored on text that it was trained on.

## How it decides
A local build with 10,000 validation documents gives 1,502 training shards and 9,662,464 validation tokens; one with 50,000 gives 1,499
shards and 47,851,520 tokens. The pair of 1,502 and the larger number comes from two builds. It is shown for a person to decide: other
preparations may come to the same count.

## Known limits
Builds of one's own with other shard sizes, and published data sets that carry the mistake: the count does not show it.

## How to fix
Prepare training and validation shards in one run, with 50,000 validation documents.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="train-val-overlap",
    leads_to="illegal",
    conditions=("C1",),
    severity=Severity.WARNING,
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-02",
            "#2018",
            "Validation documents in the training shards exclude a submission.",
        ),
        Ruling(
            Strength.COMMUNITY,
            "leon2k2k2k",
            "2026-05-01",
            "issue #2127",
            "The preparation script keeps 10,000 documents by default while the validation set has 50,000.",
        ),
    ),
)

SMALL_BUILD_SHARDS = 1502
"""Training shards of a build that keeps 10,000 documents for validation."""
WHOLE_TOKENS = range(47_000_000, 48_500_000)
"""Validation tokens of all 50,000 documents by the tokenizers of that build."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look for the pair in the claimed logs."""
    for log in evidence.claimed_logs:
        shards = next((shards for shards in log.train_shards if shards.value == SMALL_BUILD_SHARDS), None)
        tokens = next((tokens for tokens in log.val_tokens if tokens.value in WHOLE_TOKENS), None)
        if shards and tokens:
            yield RULE.finding(
                f"{shards.value:,} training shards and {tokens.value:,} validation tokens are of two builds: the training "
                "shards may hold validation documents",
                shards.location,
                steps=(
                    Step(shards.location, "the count of a build with 10,000 validation documents"),
                    Step(tokens.location, "the tokens of 50,000 validation documents"),
                ),
                confidence=Confidence.MEDIUM,
            )
            return
