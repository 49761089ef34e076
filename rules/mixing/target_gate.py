"""Whether or how much a second predictor is mixed in depends on the token that is being scored.

## What it flags
A reported score on whose path a comparison decides, with a score of the very token on one side: a cache that is used only where
the model's loss on the realised token is high, or only where the cache already knows that token; an expert that is used only for
tokens of a class (inside a word, at a boundary), where the class is that of the token itself; logits that are changed at the place
of the very token before they are normalised (a mask of unlikely tokens from which the realised one is taken out).

## Why it is illegal
The mixing weight has to be fixed before the token is seen. A gate that opens for the realised token gives that token the larger
of two probabilities and leaves the others what they had: together they add up to more than one.

## How it decides
The script is walked under the effective configuration. A comparison of scores leaves its mark on whatever it selects. A finding
needs such a mark on the reported score, where one side scores tokens of the iteration in which the comparison is made and the
other side is no score of them (that is `mixing/oracle`); or a branch on a table that is read at the very token which enters
the counts later in the same iteration; or a write at the scored tokens into what their own score is then computed from, in the
same iteration. Sources in C and C++ are walked too. Where the log prints that the gate never opened,
the finding is dormant.

## Known limits
A class of the token that is computed without a table is not recognised.

## How to fix
Gate on what is known before the token: the entropy of the model, the counts of the context, the largest probability over the
whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pgaudit.engine.queries import choices, decided_at, marked_targets, target_gates
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap
from pgaudit.judging import Hit, judge, printed_zero
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="target-aware-gate",
    leads_to="illegal",
    conditions=("C1", "C2"),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-02",
            "#2041",
            "Gates that are opened by the token being scored break C1.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-25",
            "#659",
            "A predictor has to commit to one rule before it sees the token.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported values that a comparison with a score of the same tokens selected."""
    yield from judge(RULE, evidence, partial(_hits, evidence))


def _hits(evidence: Evidence, run: Run) -> Iterator[Hit]:
    if run.score is None:
        return
    for gate in target_gates(run.walk, run.score):
        steps = (
            *run.entered(gate.lookup.place),
            run.step(gate.lookup, "a property of the token being scored is looked up"),
            *run.entered(gate.choice.place, after=gate.lookup.place),
            run.step(gate.choice, "it decides here what is predicted"),
            run.step(gate.update, "the same token enters the table only here"),
            run.step(run.score, "the score is printed here"),
        )
        yield Hit(
            "a property of the token being scored decides how it is predicted",
            run.at(gate.choice.place.spot),
            steps,
            dormant=printed_zero(evidence, run, decided_at(run.walk, gate.choice.place.spot)),
        )
    for choice in choices(run.walk, run.score):
        if not choice.oracle:
            steps = (
                run.step(choice.score, "a token is scored here"),
                *run.entered(choice.choice.place, after=choice.score.place),
                run.step(choice.choice, "that score decides here what is counted"),
                run.step(run.score, "the score is printed here"),
            )
            yield Hit(
                "the score of the realised token decides how it is scored", run.at(choice.choice.place.spot), steps
            )
    for mark in marked_targets(run.walk, run.score):
        steps = (
            *run.entered(mark.update.place),
            run.step(mark.update, "the predictor is changed at the place of the token to be scored"),
            run.step(mark.score, "the token is scored with it"),
            run.step(run.score, "the score is printed here"),
        )
        yield Hit(
            "the prediction is changed at the place of the token that it is scored on",
            run.at(mark.update.place.spot),
            steps,
        )
