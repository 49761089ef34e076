"""The byte count of the reported score is wrong by construction.

## What it flags
A script whose own code, given a SentencePiece vocabulary, counts more bytes for a token than the token stands for, or takes every
token for the same number of bytes. Seen in real submissions: the leading space is part of the table and is added once more where the
table is read (17 % too many bytes); the space marker is compared with another character and counts as its three bytes; byte tokens
count by the length of their spelling, `<0xE2>`; a loss is divided by 3.5.

## Why it is not allowed
Bits per byte are defined on the fixed FineWeb validation text. Every byte too many makes the score better than it is.

## How it decides
The script's code is computed, not run: its tables on a vocabulary of our own in the order of the official ones, with everything else
unknown, and then what it adds up for tokens after a plain piece and after a word. The official count is nothing for control tokens,
one for a byte token, else the UTF-8 length without U+2581, and one more for the marker. Only lookups that the printed score depends
on count, and every one of them has to be too large. A count that is also too small for some tokens is left alone, and so are the few
bytes of control tokens. A constant is one that alone turns the printed loss into bits per byte, with no lookup at a token anywhere
behind the print.

If a log or submission.json shows a loss and a bpb that belong together by the right count, the code that ran was another, and
nothing is flagged. A marker that counts three bytes can be an accident of uploading the script: it is an error only if a log shows
too many bytes as well.

## Known limits
Tables loaded from files, tokenizers of other libraries, and decoding instead of pieces are not decided. A table of bytes is known by
having plain pieces right. A vocabulary without byte tokens is taken for one that has them. Token ids cut to a smaller vocabulary
are not seen.

## How to fix
Count each token's bytes by the official look-up table: strip U+2581, one byte for a byte token, and one more for the leading
space unless the previous token is a boundary.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.byte_tables.counts import Cause, Count, Excess, constant_count, wrong_count
from pgaudit.evidence.denominator import Bytes, shown_bytes
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Confidence, Finding, Location, Step
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


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare what the script counts for a token with what the token stands for."""
    run = evidence.run
    if run is None or run.score is None:
        return
    count, constant = wrong_count(run), constant_count(run)
    if count is None and constant is None:
        return
    shown = shown_bytes(evidence.scored_log, evidence.claims)
    if count and shown is not Bytes.RIGHT:
        yield _table(run, count, shown)
    elif constant and shown is not Bytes.RIGHT:
        yield _constant(run, constant)


def _table(run: Run, count: Count, shown: Bytes) -> Finding:
    worst = count.excesses[0]
    lookup = min(count.lookups)
    place = worst.written or lookup
    steps = [
        Step(run.at(excess.written), f"the table holds {excess.entry:g} bytes for the token '{excess.piece}'")
        for excess in (worst, *_further(count.excesses))
        if excess.written
    ]
    steps.append(Step(run.at(lookup), f"{worst.counted:g} bytes are counted for it here"))
    return RULE.finding(
        f"the token '{worst.piece}' counts {worst.counted:g} bytes and stands for {worst.official}: {worst.cause}",
        run.at(place),
        steps=(*steps, *_printed(run)),
        confidence=_confidence(run, worst, shown, certain=count.certain),
        facts={
            "counted": {excess.piece: excess.counted for excess in count.excesses},
            "official": {excess.piece: excess.official for excess in count.excesses},
        },
    )


def _confidence(run: Run, worst: Excess, shown: Bytes, *, certain: bool) -> Confidence:
    """Surest with a log that shows the same; some vocabularies have no byte tokens, and uploading can change a marker."""
    if shown is Bytes.TOO_MANY:
        return Confidence.HIGH
    if worst.cause is Cause.MARKER or not certain:
        return Confidence.LOW  # for a person to decide
    return Confidence.HIGH if run.matched and worst.cause is Cause.TWICE else Confidence.MEDIUM


def _further(excesses: tuple[Excess, ...]) -> list[Excess]:
    """One excess of every other cause."""
    return list({excess.cause: excess for excess in reversed(excesses) if excess.cause != excesses[0].cause}.values())


def _constant(run: Run, constant: float) -> Finding:
    assert run.score is not None
    location: Location = run.at(run.score.place.spot)
    return RULE.finding(
        f"the printed bpb takes every token for {constant:g} bytes; no byte of the text is counted",
        location,
        confidence=Confidence.HIGH if run.matched else Confidence.MEDIUM,
        facts={"bytes_per_token": constant},
    )


def _printed(run: Run) -> tuple[Step, ...]:
    return (run.step(run.score, "the score that is divided by these bytes is printed here"),) if run.score else ()
