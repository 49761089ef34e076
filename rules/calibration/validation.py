"""A quantiser, scale or temperature is set from statistics of validation tokens before those tokens are scored.

## What it flags
Weights whose values were computed from what the network shows on validation tokens (Hessians, activation means, clip ranges),
without a loss and without an optimiser, where the reported score of the same tokens is taken with those weights.

## Why it is illegal
The predictor of a token then depends on later tokens and on the token itself: calibrating on validation text that was not yet
scored breaks autoregressivity.

## How it decides
The script is walked under the effective configuration, hooks on layers included. A finding needs a reported score whose weights
were set from activations or token ids of the validation stream.

## Known limits
Statistics that a network keeps inside its own forward are not followed.

## How to fix
Calibrate on training tokens inside the training budget, or on text that the model generates itself.
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
    mechanism="calib-val",
    leads_to="illegal",
    conditions=("C1", "C3"),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-28",
            "#728",
            "Calibrating on validation data that was not yet scored breaks autoregressivity; self-generated text is probably legal.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported scores whose weights were set from statistics of the scored tokens."""
    hits = state_changes(
        (Order.CALIBRATED,), "the weights are set from statistics of validation tokens that are scored afterwards"
    )
    yield from judge(RULE, evidence, hits)
