"""The claimed score was taken before the model was exported.

## What it flags
A claimed val_bpb that is printed at the end of training, before the model is serialised, where the same log scores the exported
model afterwards and comes to a worse value.

## Why it is illegal
The score is that of the artifact: the code and the weights that fit into 16 MB. The weights in training have full precision and do
not fit.

## How it decides
The claimed score is printed by the last validation of the training loop, or between it and the first line that states the size of
the export, and by no evaluation after that line; the first of those is worse by more than rounding. Where
submission.json or the README states a score from after the export as well, or calls the number one before quantisation, it is for a
person to decide.

## Known limits
Logs that print no size. What the script loads again after the export is `artifact/kept-weights`.

## How to fix
Claim the score of the round trip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.claims import Claims
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log, Metric
from pgaudit.evidence.numbers import Figure, number
from pgaudit.evidence.support import averaged_of, prints
from pgaudit.finding import Confidence, Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="score-not-artifact",
    leads_to="illegal",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "The artifact is the code and the compressed model that the score is computed with.",
        ),
    ),
)

EXPORTED = re.compile(r"round[_ ]?trip|\bint\d|_int\d|(?<!pre)(?<!pre[-_ ])quant", re.IGNORECASE)
"""Stages that name a model which was quantised before its size was printed."""
_FOUR_DIGITS = re.compile(r"(?<![\w.])\d\.\d{4,12}(?!\.?\w)")
_OF_THE_EXPORT = re.compile(r"round|quant|int\d|export|\bbpb\b|artifact|\|", re.IGNORECASE)
"""Words of a line that may be about the exported model, or a row of a table."""
_BEFORE = re.compile(r"pre[-_ ]?quant", re.IGNORECASE)
LEAST_LOSS = 0.001
"""Bits per byte that export costs at least, to be told from rounding and from another seed."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look for a claimed score that is printed only before the export."""
    claims = evidence.claims
    claim = claims.get("val_bpb") if claims else None
    score = number(claim.value) if claim else None
    if claims is None or claim is None or not score:
        return
    after = {log.path: _after(log) for log in evidence.logs}
    if any(prints(metric, [score]) for metrics in after.values() for metric in metrics) or averaged_of(after, score):
        return
    parts = averaged_of({log.path: _at_the_end_of_training(log) for log in evidence.logs}, score)
    for log in evidence.logs:
        at_the_end = _at_the_end_of_training(log)
        claimed = next((m for m in at_the_end if _is_source(m, score) or m in parts.values()), None)
        exported = next(iter(_after(log)), None)
        if claimed and exported and _value(exported) > _value(claimed) + LEAST_LOSS:
            disclosed = _is_disclosed(evidence, claims, _after(log)) or _names_the_stage(claims, score)
            yield RULE.finding(
                f"the claimed {score:g} is of the weights in training; the exported model scores {_value(exported):g}",
                claim.location,
                steps=(
                    Step(claimed.location, "the claimed score, or a part of its mean, before the export"),
                    Step(exported.location, "the score of the model that was exported"),
                ),
                severity=Severity.WARNING if disclosed else Severity.ERROR,
                confidence=Confidence.MEDIUM,
                facts={"claimed": score, "before_export": _value(claimed), "exported": _value(exported)},
            )
            return


def _is_source(metric: Metric, score: float) -> bool:
    """Can the claim have been copied from this line? A line with fewer digits is near it by chance."""
    digits = Figure.read(repr(score)).decimals
    return prints(metric, [score]) and metric.val_bpb is not None and metric.val_bpb.decimals >= digits


def _export(log: Log) -> int | None:
    """The first line after training that states the size of what was exported."""
    last_step = max((metric.location.line or 0 for metric in log.metrics if metric.step is not None), default=0)
    lines = (size.location.line or 0 for size in log.sizes if size.kind != "code")
    return min((line for line in lines if line > last_step), default=None)


def _after(log: Log) -> list[Metric]:
    """The whole scores after the export."""
    export = _export(log)
    return [
        metric
        for metric in log.metrics
        if export
        and metric.val_bpb
        and not metric.partial
        and metric.step is None
        and (metric.location.line or 0) > export
    ]


def _at_the_end_of_training(log: Log) -> list[Metric]:
    """The last validation in training, and the scores between it and the export."""
    export = _export(log)
    whole = [m for m in log.metrics if m.val_bpb and not m.partial and export and (m.location.line or 0) < export]
    first = max((index for index, metric in enumerate(whole) if metric.step is not None), default=0)
    return [metric for metric in whole[first:] if not EXPORTED.search(metric.stage)]


def _value(metric: Metric) -> float:
    return metric.val_bpb.value if metric.val_bpb else 0.0


def _is_disclosed(evidence: Evidence, claims: Claims, after: list[Metric]) -> bool:
    """Does submission.json or the README state a score of the exported model, be it inside a sentence?"""
    stated = {*claims.fractions(), *claims.fractions_in_words()}
    for _, line in evidence.readme.prose if evidence.readme else ():
        if _OF_THE_EXPORT.search(line):
            stated |= {float(text) for text in _FOUR_DIGITS.findall(line)}
    return any(prints(metric, [value], 2 * 10.0**-4) for metric in after for value in stated)


def _names_the_stage(claims: Claims, score: float) -> bool:
    """Does submission.json call the claimed number a score before quantisation?"""
    return any(_BEFORE.search(claim.key) and number(claim.value) == score for claim in claims.stated)
