"""Validation tokens are stored in the submission and predicted for free.

## What it flags
A file of the submission holds tokens of the validation text, and the loss of a target that equals its stored copy is set to zero.

## Why it is illegal
The validation text may not be used to make the artifact. A stored copy predicts nothing: it repeats the answer.

## How it decides
The script is walked under the effective configuration. A finding needs a comparison of targets with what was read from a file, whose
outcome selects the places at which a loss on the way to the reported score is set to zero.

## Known limits
A stored copy that enters as logits is not told apart from a model.

## How to fix
Leave the validation text out of the artifact.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import paid_for
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="paid-prefix",
    leads_to="illegal",
    conditions=("C1", "C2"),
    rulings=(
        Ruling(
            Strength.README,
            "cocohearts",
            "2026-03-20",
            "README, commit 2cff08e1a",
            "Validation data may not be accessed in training; a paid prefix is named as not allowed.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-03-20",
            "#262",
            "Train as if there were no access to the validation set.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for losses that are cleared where a stored token equals the target."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    for choice in paid_for(run.walk, run.score) if run.score else ():
        assert run.score is not None
        steps = (
            *run.entered(choice.place),
            run.step(choice, "targets are compared with tokens of a file; where they agree, the loss is set to zero"),
            run.step(run.score, "the score is printed here"),
        )
        yield Hit("stored tokens are predicted for free", run.at(choice.place.spot), steps)
