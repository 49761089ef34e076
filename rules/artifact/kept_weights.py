"""The score is taken on weights that were kept in memory, not on those of the artifact.

## What it flags
A script that writes its compressed weights, reads them back and evaluates them, and then takes the reported score on other weights:
full-precision or averaged ones that were kept, or loaded again over the decompressed ones.

## Why it is illegal
The artifact is code plus compressed model, and its 16,000,000 bytes are the limit of the challenge. A score of weights that are not
in it is a score of another, larger model.

## How it decides
The script is walked under the effective configuration; what is read from a file stays known through decompression and loading. A
finding needs an evaluation of weights that were read back, and behind it the reported score, on weights that were not.

## Known limits
A script that never reads its artifact back is not flagged: the weights in memory may have been rounded in place.

## How to fix
Evaluate, and adapt, the weights that were read back from the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import kept_weights
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="score-not-artifact",
    leads_to="illegal",
    conditions=(),
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "The artifact is code bytes plus compressed model bytes, at most 16,000,000; the score is the artifact's. "
            "No maintainer ruling on scores of weights outside the artifact.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported scores of weights that are not those read back."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    for score, returned in kept_weights(run.walk, run.score) if run.score else ():
        assert run.score is not None
        steps = (
            run.step(returned, "the weights that were read back from the artifact are scored here"),
            *run.entered(score.place, after=returned.place),
            run.step(score, "other weights are scored here"),
            run.step(run.score, "their score is printed here"),
        )
        where = score.place.calls[-1] if score.place.calls else score.place.spot
        yield Hit(
            "the reported score is taken on weights that were not read back from the artifact", run.at(where), steps
        )
