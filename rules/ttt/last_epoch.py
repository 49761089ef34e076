"""Validation tokens are scored again after the weights were trained on them, and the later score counts.

## What it flags
Several passes over the same validation tokens, each of which scores before it trains, where the reported number comes from a
later pass: the accumulators are reset in every epoch, or only the last epoch is kept.

## Why it is illegal
Within one pass the order is right; over all passes it is not. When the last pass scores a token, the weights have already been
trained on it in the first. The reported number is the loss of a model that was trained on the validation text.

## How it decides
As for `ttt/prequant`: a reported score whose predictor carries a change of the weights that used the same tokens, where the
same line had scored in the same loop before that change.

## Known limits
The minimum over epochs or passes is found only where it is taken on the printed total.

## How to fix
Let every token's first score count, and take as many steps on it afterwards as the time allows.
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
    mechanism="ttt-last-epoch-or-min",
    leads_to="illegal",
    conditions=("C3", "C4"),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-24",
            "#568",
            "Several epochs of test-time training that report the loss after training are training on the evaluation set.",
        ),
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-20",
            "README, commit fc6332a9c",
            "Test-time training is allowed only on validation tokens that were already evaluated.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported scores of a later pass over tokens that an earlier pass trained on."""
    hits = state_changes(
        (Order.LATER_EPOCH,), "an earlier pass trained the weights on tokens that the reported pass scores again"
    )
    yield from judge(RULE, evidence, hits)
