"""Tokens are scored a second time, with a cache that was built from them in between.

## What it flags
A table that counted validation tokens after they had been scored once, is read in a later loop, and whose result reaches the
reported score: a full or partial rescore of the stream, with or without leave-one-out.

## Why it is illegal
A token's score has to be final before its value enters any state (C3), and there is one pass from left to right (C4). In the second
pass the cache holds the scored tokens and everything behind them. Taking a token's own count out again leaves the later ones in.

## How it decides
The script is walked under the effective configuration. A finding needs a table lookup behind the reported score, a count in that
table that was made in another loop, earlier, from tokens of the same stream, and a score of the stream that came before the count.

## Known limits
A cache that is filled before anything was scored is told apart only by its key (`ngram/target-in-key`).

## How to fix
Score every token once, with what was counted before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import rescored
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="two-pass-rescore",
    leads_to="illegal",
    conditions=("C3", "C4"),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-27",
            "#868",
            "Rescoring tokens with a cache that holds them leaks evaluation tokens.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for lookups behind the score in tables that had counted scored tokens of the same stream."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    for second in rescored(run.walk, run.score) if run.score else ():
        assert run.score is not None
        steps = (
            run.step(second.score, "the stream is scored here"),
            *run.entered(second.update.place, after=second.score.place),
            run.step(second.update, "a table counts its tokens here"),
            *run.entered(second.lookup.place, after=second.update.place),
            run.step(second.lookup, "a later pass over the stream reads the table here"),
            run.step(run.score, "its score is printed here"),
        )
        yield Hit("tokens are scored again with a cache that has counted them", run.at(second.lookup.place.spot), steps)
