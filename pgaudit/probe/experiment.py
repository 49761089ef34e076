"""Which texts are run: each differs from the base in one way that tells something."""

from __future__ import annotations

import numpy as np

from pgaudit.probe.shrink import VALIDATION
from pgaudit.probe.text import Text, Tokens

BASE, REPEAT, LAST, LATE, HALF, EARLY = "base", "repeat", "last", "late", "half", "early"
LATE_FROM, HALF_FROM = VALIDATION * 3 // 4 + 5, VALIDATION // 2 + 3
"""Not at the border of a window."""
EARLY_TOKENS = range(1, 60)


def texts(text: Text) -> dict[str, Tokens]:
    """The validation texts of the first round, by name."""
    base = text.validation
    return {
        BASE: base,
        REPEAT: base,
        LAST: _replaced(text, VALIDATION, VALIDATION + 1),
        LATE: _replaced(text, LATE_FROM, VALIDATION + 1),
        HALF: _replaced(text, HALF_FROM, VALIDATION + 1),
        EARLY: _replaced(text, EARLY_TOKENS.start, EARLY_TOKENS.stop),
    }


def _replaced(text: Text, start: int, stop: int) -> Tokens:
    """The text with other tokens in a part of it; the beginnings of documents stay where they are."""
    tokens = text.validation.copy()
    first = int(tokens[0])
    known = np.unique(text.training)
    draw = np.random.default_rng(start)
    for place in range(start, stop):
        if tokens[place] != first:
            others = known[(known != tokens[place]) & (known != first)]
            tokens[place] = draw.choice(others)
    return tokens
