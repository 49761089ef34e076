"""Something that is no probability of the scored token is added up with probabilities of it.

## What it flags
A mixture (`logsumexp` over stacked experts) on the path of the reported score, one part of which says nothing about the scored
token: most often the model's entropy, used as if it were the loss of an expert.

## Why it is illegal
A mixture is a distribution only if every part is one. The entropy does not depend on which token comes: as an expert it gives every
one of the vocabulary's tokens the same mass, which adds up to far more than one, and the sum inherits that.

## How it decides
The script is walked under the effective configuration. A finding needs a stack of alternatives, summed by `logsumexp` on the way
to the reported score, one of which is a score of the token and another of which the network computed without the token.

## Known limits
Weighted sums that are written out by hand are not followed.

## How to fix
Mix distributions over the whole vocabulary only; a uniform expert has the loss log V.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import unscored_parts
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="unnormalised-mix",
    leads_to="illegal",
    conditions=("C2",),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-27",
            "#688",
            "Closed: an n-gram mixture has to reweight the whole distribution and be normalised.",
        ),
        Ruling(
            Strength.FIELD_GUIDE,
            "NoesisGenesis",
            "2026-03-28",
            "issue #1017",
            "C2: the distribution over the official alphabet is full and normalised. No maintainer ruling on the entropy expert itself.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for mixtures behind the reported score with a part that scores no token."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    for mixture in unscored_parts(run.walk, run.score) if run.score else ():
        assert run.score is not None
        steps = (
            *run.entered(mixture.stack.place),
            run.step(mixture.stack, "scores of the token are put side by side with something that is none"),
            run.step(run.score, "their sum is printed here as the score"),
        )
        yield Hit(
            "a mixture adds up probabilities of the token and something that is none",
            run.at(mixture.stack.place.spot),
            steps,
        )
