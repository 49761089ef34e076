"""A tensor is fitted on the very tokens that are scored with it (SLOT).

## What it flags
An offset, bias or scale that the evaluation itself makes, fits by gradient steps on a loss that includes the positions which are
scored, and then uses in scoring them.

## Why it is illegal
No maintainer has ruled on this technique; the README's sentence decides it: adaptation may use only tokens that were already
evaluated. A fitted delta carries the targets into their own prediction: changing one target was measured to change the loss of
every other scored position.

## How it decides
As for `ttt/prequant`, for state that is not a network: a tensor given to an optimiser. A fit on the context part of each window
that scores only the part behind it is told apart by the bounds of both slices.

## Known limits
Masks that are built element by element are not followed: a fit that such a mask confines to the context is reported all the same
when its bounds cannot be read.

## How to fix
Fit on positions that were scored in an earlier window, one delta per window.
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
    mechanism="slot-scored-tokens",
    leads_to="illegal",
    conditions=("C1", "C3"),
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-20",
            "README, commit fc6332a9c",
            "Test-time training is allowed only on validation tokens that were already evaluated.",
        ),
        Ruling(
            Strength.COMMUNITY,
            "andrewbaggio1",
            "2026-04-01",
            "#1240",
            "No maintainer ruling on the technique; flipping one target changed the loss at all 240 of 240 other scored positions.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for reported scores that use a tensor fitted on the same tokens."""
    hits = state_changes((Order.FITTED,), "a tensor is fitted on the tokens that are then scored with it")
    yield from judge(RULE, evidence, hits)
