"""A token's probability is spread over its bytes and mixed there with another model.

## What it flags
The log-probability of the scored token is divided by the token's number of bytes, and the share of each byte enters a mixture with
a byte model (PPM and the like) whose result is the reported score.

## Why it is illegal
The share is no probability of the byte: the model has said nothing about bytes, and the same prefix of bytes gets another share
for every token that goes on from it. Neither over the bytes nor over the tokens do the mixed values add up to one (C2). A valid
mixture sums the token probabilities over all tokens that begin with the byte, or mixes over the token alphabet.

## How it decides
The script is walked under the effective configuration, sources in C and C++ included. A finding needs a score that is divided by
a table's entry for the token (its length) and then goes through an exponential or a logarithm on the way to the reported score;
bits per byte are also divided by bytes, but nothing is made of them afterwards.

## Known limits
A byte model that is mixed in another way than through its logarithm is not recognised.

## How to fix
Marginalise the token distribution over a byte trie, or report the token model alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import spread_scores
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="byte-mixer-unnormalised",
    leads_to="illegal",
    conditions=("C2",),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-02",
            "#1991",
            "The byte-level PPM mixture fails C2: it is not a distribution over the official alphabet.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-04-28",
            "#1902",
            "PPM-D byte mixtures are excluded from the chronological record list (C2).",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for scores whose shares per byte become probabilities behind the report."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    for spread in spread_scores(run.walk, run.score) if run.score else ():
        assert run.score is not None
        steps = (
            *run.entered(spread.place),
            run.step(spread, "the score of a token is divided by its number of bytes"),
            run.step(run.score, "what the shares were mixed into is printed here as the score"),
        )
        yield Hit("a token's probability is spread over its bytes and mixed there", run.at(spread.place.spot), steps)
