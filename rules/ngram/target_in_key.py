"""The token being scored is part of the key that its probability is looked up with.

## What it flags
A lookup in a table of counts whose result reaches the reported score, and whose index was computed from the scored token
together with its context: `counts[hash(context, target)] / contexts[hash(context)]`.

## Why it is illegal
The quotient is not a probability. Buckets are shared, nothing is renormalised over the vocabulary, and the value of one token
does not bound the values of the others: over 1,024 tokens they were measured to sum to 277. The predictor has to be fixed before
the target is seen (C1), and to be a distribution over all tokens (C2).

## How it decides
The script is walked under the effective configuration with provenance on every value. A finding needs a lookup on the score path
one index component of which depends on the very position that is scored and on another position. Names play no part. A table that
is read at the target alone (bytes of a token), or by context first and target second (a column of a distribution), is not flagged.

## Known limits
Tables in C, C++ or CUDA are not walked. Keys whose position in the stream is lost are not decided by this rule.

## How to fix
Look up the context only, take the counts of the whole vocabulary, mix distributions, and select the target's column last.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import pair_lookups, target_in_key
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="ngram-target-in-key",
    leads_to="illegal",
    conditions=("C1", "C2"),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-27",
            "#779",
            "Hashed n-gram caches are disallowed: they look at the target and are not renormalised; "
            "an n-gram model that reweights the whole distribution is fine.",
        ),
        Ruling(
            Strength.FIELD_GUIDE,
            "NoesisGenesis",
            "2026-03-28",
            "issue #1017",
            "C1 and C2: the distribution over the official alphabet is full, normalised, and fixed before the target is looked at.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for lookups behind the score whose key holds the target."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    if run.score is None:
        return
    for hit in [*target_in_key(run.walk, run.score), *pair_lookups(run.walk, run.score)]:
        location = run.at(hit.lookup.place.spot)
        steps = (
            *run.entered(hit.lookup.place),
            run.step(hit.lookup, "the index of this lookup depends on the scored token and on a token of its context"),
            run.step(run.score, "its result is part of the score that is printed here"),
        )
        yield Hit("the lookup key holds the token that is being scored", location, steps)
