"""The score is taken on a text that the script downloads, not on the validation files.

## What it flags
A reported score whose targets come from the network (a data set that is streamed during evaluation), and none of them from the
validation shards.

## Why it is illegal
The score of the challenge is bits per byte on the fixed FineWeb validation text, and evaluation has no network.

## How it decides
The script is walked under the effective configuration; tokens know the file they come from. A finding needs a reported score all of
whose targets come from a download.

## Known limits
Shards that were prepared from another text are told by their sizes only (`bytes/denominator`).

## How to fix
Evaluate on the whole of `fineweb_val_*`.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import scored_origins, scores_of
from pgaudit.engine.transfer.files import NETWORK
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="noncanonical-validation",
    leads_to="illegal",
    conditions=(),
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "Scored in bits per byte on the fixed FineWeb validation text; no external download and no network during evaluation.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported scores whose targets were downloaded."""
    yield from judge(RULE, evidence, _hits)


def _hits(run: Run) -> Iterator[Hit]:
    if run.score is None or scored_origins(run.walk, run.score) != {NETWORK}:
        return
    for score in scores_of(run.walk, run.score.labels):
        steps = (
            *run.entered(score.place),
            run.step(score, "text from the network is scored here"),
            run.step(run.score, "the score is printed here"),
        )
        yield Hit(
            "the score is taken on a downloaded text, not on the validation files", run.at(score.place.spot), steps
        )
