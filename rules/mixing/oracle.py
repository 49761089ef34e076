"""Of two scores of a token the better one is kept.

## What it flags
A reported score that was chosen, token by token, by comparing two scores of that same token: `if mixed < neural: nll = mixed`, a
mask of improved positions, an elementwise minimum over passes or experts.

## Why it is illegal
The choice needs the token that is being predicted. No distribution gives each token the better of two probabilities: over the
vocabulary they add up to more than one. A predictor has to commit to one rule before it sees the token.

## How it decides
The script is walked under the effective configuration. A comparison of scores leaves its mark on whatever it selects: masks,
branches, minima. A finding needs such a mark on the reported score, where both sides score tokens of the iteration in which they
are compared.

## Known limits
A choice between totals after the loop (the best of several evaluations) is another matter and is not flagged here.

## How to fix
Mix with weights that depend on the context alone: on entropy, on the counts of the context, on how earlier tokens were predicted.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import choices
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="oracle-mixing",
    leads_to="illegal",
    conditions=("C1", "C2"),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-25",
            "#659",
            "Keeping whichever of two scorers gives the lower loss peeks at the token.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported values that were chosen between two scores of the same tokens."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    for choice in choices(run.walk, run.score) if run.score else ():
        if choice.oracle and run.score:
            steps = (
                run.step(choice.score, "a token is scored here"),
                *run.entered(choice.choice.place, after=choice.score.place),
                run.step(choice.choice, "two scores of it are compared, and the better one is kept"),
                run.step(run.score, "the score is printed here"),
            )
            yield Hit("of two scores of a token the better one is kept", run.at(choice.choice.place.spot), steps)
