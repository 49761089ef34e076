"""Weights are trained on validation tokens before those tokens are scored.

## What it flags
An optimiser step, or another write to the weights, that used validation tokens and comes before the evaluation that gives the
reported score of the same tokens: a separate adaptation function, a loop in `main`, a federated variant per rank.

## Why it is illegal
Training on the validation text before it is evaluated adds it to the training set. Causal attention, a single epoch, freezing or
quantising afterwards change nothing about it. Test-time training is allowed on tokens that were already evaluated, and only on those.

## How it decides
The script is walked under the effective configuration. Every value knows which slices of the token stream, and which changes of
state, it depends on. A finding needs a reported score whose predictor carries a change that used the same slice of the validation
stream. Score-first loops fall silent because the loop variables in the addresses keep the slices apart; phased adaptation on an
already scored prefix falls silent because a reported score of the same loop comes first.

## Known limits
Loops are walked for a few iterations. Slices whose addresses share no loop are compared as whole streams (medium confidence).

## How to fix
Score each chunk first, add its loss to the total, and train on it only afterwards; or do not adapt.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.engine.queries import Order
from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Finding, Gap
from pgaudit.judging import judge, state_changes
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="prequant-ttt",
    leads_to="illegal",
    conditions=("C3",),
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-20",
            "README, commit fc6332a9c",
            "Test-time training is allowed only on validation tokens that were already evaluated.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "0hq",
            "2026-03-20",
            "#152",
            "Training on the validation set before evaluating adds it to the training set; a causal mask does not help.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-24",
            "#442",
            "A score reported after the weights were adapted on the same text is training on validation.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported scores of tokens that the weights had been trained on."""
    hits = state_changes(
        (Order.BEFORE, Order.IN_LOOP), "the weights are trained on validation tokens that are scored afterwards"
    )
    yield from judge(RULE, evidence, hits)
