"""The claimed score covers only part of the validation text.

## What it flags
A claimed evaluation whose token count and ratio of tokens to bytes show that it covers clearly less than the 151,080,891 bytes
of the validation text: the first 10,000 documents, a capped number of tokens, one shard of a build of one's own.

## Why it is illegal
Records are compared on all of the first 50,000 documents. A part of them is another text, easier or harder by more than the steps
between records. Small runs that are submitted outside the record track and show what they are, are left to the reader.

## How it decides
`bytes = val_tokens * val_loss / (ln 2 * val_bpb)` of the evaluation whose bpb submission.json claims. Below 90 % it is a part of the
text; between that and 98 % a tokenizer or a preparation of one's own may have lost some of it, and a person has to look.

## Known limits
Logs without a token count, or that print bpb without loss. A log that counts the tokens of the whole split and scores a part of them.

## How to fix
Score all of `fineweb_val_*`; the official loader drops less than one sequence at its end.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.denominator import FIRST_RELEASE_TOKENS, OFFICIAL_BYTES, Evaluation, claimed, evaluations
from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="eval-subset",
    leads_to="illegal",
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-04-28",
            "#1835",
            "A score on the first tokens of the validation set is no score on the validation set.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-02",
            "#2039",
            "Scores on 10,000 of the 50,000 validation documents are not comparable with records.",
        ),
    ),
)

PART = 0.90
"""Less than this part of the bytes is another text, whatever the tokenizer."""
WHOLE = 0.98
"""More than this part is the whole: tails are dropped, and preparations differ in a few documents."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the bytes of the claimed evaluation with those of the validation text."""
    scores = evidence.claimed_scores
    found = [pair for log in evidence.logs for pair in evaluations(log) if claimed(pair, scores)]
    parts = [pair for pair in found if pair.bytes and pair.split != FIRST_RELEASE_TOKENS]
    smallest = min(parts, key=lambda pair: pair.bytes or 0, default=None)
    if smallest is not None and smallest.bytes and smallest.bytes < OFFICIAL_BYTES * WHOLE:
        decided = bool(scores) and evidence.submission.track == "record" and smallest.bytes < OFFICIAL_BYTES * PART
        yield _finding(smallest, smallest.bytes, decided)


def _finding(pair: Evaluation, covered: int, decided: bool) -> Finding:
    counted = (Step(pair.tokens.location, f"{pair.tokens.value:,} validation tokens"),) if pair.tokens else ()
    ratio = Step(pair.metric.location, f"{pair.tokens_per_byte:.5f} tokens per byte, {covered:,} bytes")
    return RULE.finding(
        f"the evaluation covers {covered:,} bytes of the {OFFICIAL_BYTES:,} that the validation text has",
        pair.metric.location,
        steps=(*counted, ratio),
        severity=Severity.ERROR if decided else Severity.WARNING,
        confidence=Confidence.HIGH if decided else Confidence.MEDIUM,
        facts={
            "covered_bytes": covered,
            "validation_bytes": OFFICIAL_BYTES,
            "part": round(covered / OFFICIAL_BYTES, 4),
        },
    )
