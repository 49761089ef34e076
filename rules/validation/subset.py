"""The claimed score covers only part of the validation text.

## What it flags
A claimed evaluation that covers clearly less than the 151,080,891 bytes of the validation text, by the token count and the ratio of
tokens to bytes in its log, or by a cut in the script: the first 10,000 documents, a capped number of tokens.

## Why it is illegal
Records are compared on all of the first 50,000 documents. A part of them is another text, easier or harder by more than the steps
between records. Small runs that are submitted outside the record track and show what they are, are left to the reader; for one
that stands outside the tracks and claims none (`"track": "none"`) it is a fact.

## How it decides
`bytes = val_tokens * val_loss / (ln 2 * val_bpb)` of the evaluation whose bpb submission.json claims. Below 90 % it is a part of the
text; between that and 98 % a tokenizer or a preparation of one's own may have lost some of it, and a person has to look. Where no
log tells, the script does: it is walked under the effective configuration, and tokens know whether their stream was cut. All scored
tokens have to come from a cut stream; a cut on one branch only decides where the run sets its number.

## Known limits
A loop that ends early over a stream that is whole. A cut at a number that only the run knows.

## How to fix
Score all of `fineweb_val_*`; the official loader drops less than one sequence at its end.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import capped
from pgaudit.engine.transfer.runtime import DEFAULT
from pgaudit.evidence.denominator import FIRST_RELEASE_TOKENS, OFFICIAL_BYTES, Evaluation, evaluations
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
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
FEWEST_TOKENS = 30_000_000
"""No tokenizer in use packs the validation text into fewer: 16,384 pieces leave 37 million."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the bytes of the claimed evaluations with those of the validation text, or look for a cut in the script."""
    scores = evidence.claimed_scores
    found = [
        pair
        for log in evidence.claimed_logs
        for pair in evaluations(log)
        if not scores or pair.metric in evidence.claimed_metrics(log)
    ]
    counted = [pair for pair in found if pair.bytes and pair.split != FIRST_RELEASE_TOKENS]
    largest = max(counted, key=lambda pair: pair.bytes or 0, default=None)
    if largest is None or not largest.bytes:
        yield from _cut(evidence, evidence.run)
    elif largest.bytes < OFFICIAL_BYTES * WHOLE:
        decided = bool(scores) and _is_record(evidence) and largest.bytes < OFFICIAL_BYTES * PART
        severity = Severity.ERROR if decided else Severity.NOTE if _claims_nothing(evidence) else Severity.WARNING
        yield _counted(largest, largest.bytes, severity)


def _is_record(evidence: Evidence) -> bool:
    return evidence.submission.track == "record"


def _claims_nothing(evidence: Evidence) -> bool:
    """Does the submission stand outside the tracks, and say so (`"track": "none"`)?"""
    track = evidence.claims.get("track") if evidence.claims else None
    return evidence.submission.track is None and track is not None and track.value == "none"


def _cut(evidence: Evidence, run: Run | None) -> Iterator[Finding]:
    """A cut that the run makes; one that its settings leave out is none, whatever the script's own default."""
    found = capped(run.walk, run.score) if run and run.score else None
    if run is None or run.score is None or found is None or found.tokens >= FEWEST_TOKENS:
        return
    score, tokens = found.score, found.tokens
    decided = _is_record(evidence) and (found.always or _is_set(run, tokens))
    yield RULE.finding(
        f"the score is taken on the first {tokens:,} tokens of the validation text",
        run.at(score.place.spot),
        steps=(
            *run.entered(score.place),
            run.step(score, f"no more than the first {tokens:,} tokens of the stream are scored here"),
            run.step(run.score, "the score is printed here"),
        ),
        severity=Severity.ERROR if decided else Severity.WARNING,
        confidence=Confidence.MEDIUM,
        facts={"tokens": tokens},
    )


def _is_set(run: Run, tokens: int) -> bool:
    """Does something outside the code set the number at which the stream is cut?"""
    return any(
        source != DEFAULT and value.isdigit() and 0 <= tokens - int(value) <= 1
        for value, source in run.walk.settings.values()
    )


def _counted(pair: Evaluation, covered: int, severity: Severity) -> Finding:
    tokens = (Step(pair.tokens.location, f"{pair.tokens.value:,} validation tokens"),) if pair.tokens else ()
    ratio = Step(pair.metric.location, f"{pair.tokens_per_byte:.5f} tokens per byte, {covered:,} bytes")
    return RULE.finding(
        f"the evaluation covers {covered:,} bytes of the {OFFICIAL_BYTES:,} that the validation text has",
        pair.metric.location,
        steps=(*tokens, ratio),
        severity=severity,
        confidence=Confidence.HIGH if severity is Severity.ERROR else Confidence.MEDIUM,
        facts={
            "covered_bytes": covered,
            "validation_bytes": OFFICIAL_BYTES,
            "part": round(covered / OFFICIAL_BYTES, 4),
        },
    )
