"""The score divides by bytes that the validation text does not have.

## What it flags
A log whose loss and bpb of one evaluation imply another number of bytes than the fixed validation text has. Too large a
denominator makes the score better than it is: 177.83 M bytes instead of 151.08 M turn 1.21 into 1.03.

## Why it is not allowed
Bits per byte are defined on the fixed FineWeb validation text; a submission that brings its own tokenizer has to show that
its val_bpb is computed right. Two merged rows with a wrong byte count were taken back or refused for it.

## How it decides
`bytes = val_tokens * val_loss / (ln 2 * val_bpb)` must be 151,080,891 within 0.3 % plus what rounding of the printed numbers
allows, whatever the tokenizer. The evaluation whose bpb submission.json claims decides; where a log prints that without its
loss, all other evaluations there, if none of them is right. Several evaluations in one log have
to agree with each other, and with validations during training: a line that disagrees with the rest is an error only if the log states the wrong byte count too;
otherwise its bpb belongs to a mixture and not to the printed loss. Part of the validation split, or no token count: the ratio of
tokens to bytes of the tokenizer that the log names is the yardstick, with room for the text being another. Too small a
denominator is that of a part of the text (`validation/subset`).

## Known limits
Logs that print bpb without loss (they need a look at the code). A validation split that is another text of the same size.
Evaluations of the data set as first published (63,779,840 sp1024 tokens) are left alone.

## How to fix
Count each token's bytes by the official look-up table: strip U+2581, one byte for a byte token, and one more for the leading
space unless the previous token is a boundary. Transformed text needs the byte side file of the original text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pgaudit.evidence.denominator import (
    BUGS,
    FIRST_RELEASE_TOKENS,
    OFFICIAL_BYTES,
    TOKENS_PER_BYTE,
    TOLERANCE,
    Evaluation,
    bpb_claimed,
    claimed,
    evaluations,
    every_evaluation,
    expected_tokens_per_byte,
    likely_bug,
)
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import number
from pgaudit.finding import Confidence, Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="byte-accounting",
    leads_to="illegal",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "Tokenizer or data set changes must prove that val_bpb is computed right.",
        ),
        Ruling(
            Strength.MERGE,
            "cocohearts",
            "2026-04-26",
            "#1806",
            "A merged row that counted byte tokens as three bytes was removed (#1184).",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-02",
            "#2071",
            "CaseOps tokens over their transformed bytes are no valid score.",
        ),
    ),
)

BUG = 1.01
"""Below this, a normaliser of its own may make up the difference; the mildest mistake known adds 4 %."""
ANOTHER_TEXT = 1.05
"""Tokens per byte of parts of the validation text differ from the whole by up to 1.5 %."""
NO_TEXT = 1.10
"""Beyond this, no choice of validation text explains the ratio."""


@dataclass(frozen=True, slots=True)
class Excess:
    """An evaluation and how many times too many bytes it divides by."""

    evaluation: Evaluation
    factor: float
    decides: bool
    """Nothing but a wrong byte count explains it."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the denominator of every evaluation in the logs with the validation text."""
    pairs = [(log, pair) for log in evidence.logs for pair in evaluations(log)]
    highest = _highest(pair for _, pair in pairs)
    in_training = _highest(
        pair for log in evidence.logs for pair in every_evaluation(log) if pair.metric.step is not None
    )
    found = (_excess(pair, highest[pair.split], expected_tokens_per_byte(log)) for log, pair in pairs)
    excesses = [_unless_shown(excess, in_training) for excess in found if excess]
    scores = evidence.claimed_scores
    of_claim = [excess for excess in excesses if claimed(excess.evaluation, scores)]
    lossless = any(bpb_claimed(metric, scores) for log, _ in pairs for metric in log.metrics if not metric.val_loss)
    everywhere = excesses if lossless and not of_claim and len(excesses) == len(pairs) else ()
    if decisive := [excess for excess in of_claim or everywhere if excess.decides]:
        yield _wrong(decisive)
    elif excesses:
        yield _doubtful(of_claim or excesses)
    elif not pairs:
        yield from _claimed_pair(evidence)


def _highest(pairs: Iterable[Evaluation]) -> dict[int | None, float]:
    """The most tokens per byte on each split."""
    highest: dict[int | None, float] = {}
    for pair in pairs:
        highest[pair.split] = max(highest.get(pair.split, 0.0), pair.tokens_per_byte)
    return highest


def _unless_shown(excess: Excess, in_training: Mapping[int | None, float]) -> Excess:
    """A validation during training that divides by fewer bytes shows that the table is right: the text is another one."""
    pair = excess.evaluation
    other = in_training.get(pair.split, 0.0) / pair.tokens_per_byte
    return replace(excess, decides=excess.decides and (pair.stated or other <= 1 + TOLERANCE + pair.slack))


def _excess(pair: Evaluation, highest: float, expected: float | None) -> Excess | None:
    """How far the denominator of ``pair`` is too large; ``highest`` is the most tokens per byte on the same split."""
    room = 1 + TOLERANCE + pair.slack
    against_others = highest / pair.tokens_per_byte
    mixed = against_others > room
    if pair.split == FIRST_RELEASE_TOKENS:
        return None
    if pair.bytes and pair.bytes > OFFICIAL_BYTES * room:
        factor = pair.bytes / OFFICIAL_BYTES
        return Excess(pair, factor, factor > BUG and (not mixed or pair.stated))
    factor = expected / pair.tokens_per_byte if expected else 1.0
    if mixed:
        return Excess(pair, max(factor, against_others), pair.stated or factor / against_others > NO_TEXT)
    return Excess(pair, factor, factor > NO_TEXT) if factor > ANOTHER_TEXT else None


def _wrong(decisive: list[Excess]) -> Finding:
    first, factor = decisive[0].evaluation, decisive[0].factor
    whole = bool(first.bytes and first.bytes > OFFICIAL_BYTES)
    counted = f"{first.bytes:,} bytes" if whole else f"{factor:.3f} times the bytes of its text"
    bug = likely_bug(OFFICIAL_BYTES * factor)
    return RULE.finding(
        f"val_bpb divides by {counted}; the validation text has {OFFICIAL_BYTES:,}" + (f": {bug}" if bug else ""),
        first.metric.location,
        steps=_steps(decisive),
        confidence=Confidence.HIGH if whole else Confidence.MEDIUM,
        facts=_facts(first, factor),
    )


def _doubtful(excesses: list[Excess]) -> Finding:
    first = excesses[0].evaluation
    return RULE.finding(
        "the printed bpb does not belong to the printed loss on this validation text: a mixture, another text or a wrong byte count",
        first.metric.location,
        steps=_steps(excesses),
        severity=Severity.WARNING,
        confidence=Confidence.LOW,
        facts=_facts(first, excesses[0].factor),
    )


def _claimed_pair(evidence: Evidence) -> Iterator[Finding]:
    """No log prints a pair: the pair in submission.json may carry the mark of a known bug on an official tokenizer."""
    claims = evidence.claims
    loss, bpb = (claims.get("val_loss"), claims.get("val_bpb")) if claims else (None, None)
    nats, bits = number(loss.value) if loss else None, number(bpb.value) if bpb else None
    if not claims or not bpb or not nats or not bits or nats <= 0 or bits <= 0:
        return
    ratio = bits * math.log(2) / nats
    for size, name in BUGS:
        for vocabulary in ("1024", "4096", "8192", "8192 caseops"):
            if math.isclose(ratio * size / OFFICIAL_BYTES, TOKENS_PER_BYTE[vocabulary], rel_tol=0.0005):
                yield RULE.finding(
                    f"the claimed val_loss and val_bpb are those of a {vocabulary} tokenizer over {size:,} bytes: {name}",
                    bpb.location,
                    confidence=Confidence.MEDIUM,
                    facts={
                        "tokens_per_byte": round(ratio, 5),
                        "implied_bytes": size,
                        "validation_bytes": OFFICIAL_BYTES,
                    },
                )
                return


def _steps(excesses: list[Excess]) -> tuple[Step, ...]:
    """One step per log: the token count, then the pair that it was divided into."""
    steps: list[Step] = []
    seen: set[str] = set()
    for excess in excesses:
        pair = excess.evaluation
        if pair.metric.location.path in seen:
            continue
        seen.add(pair.metric.location.path)
        if pair.tokens:
            steps.append(Step(pair.tokens.location, f"{pair.tokens.value:,} validation tokens"))
        implied = f", {pair.bytes:,} bytes instead of {OFFICIAL_BYTES:,}" if pair.bytes else ""
        steps.append(Step(pair.metric.location, f"{pair.tokens_per_byte:.5f} tokens per byte{implied}"))
    return tuple(steps)


def _facts(pair: Evaluation, factor: float) -> dict[str, object]:
    return {
        "tokens_per_byte": round(pair.tokens_per_byte, 5),
        "implied_bytes": pair.bytes,
        "validation_bytes": OFFICIAL_BYTES,
        "factor": round(factor, 4),
    }
