"""Which texts are run: each differs from the base in one way that tells something."""

from __future__ import annotations

import numpy as np

from pgaudit.probe.shrink import VALIDATION
from pgaudit.probe.text import Text, Tokens

BASE, PLAIN, REPEAT, EARLY = "base", "plain", "repeat", "early"
"""The text as it is: recorded, without the recorder, and once more; with other tokens at its beginning."""
LAST, LATE, HALF = "last", "late", "half"
FROM = {LAST: VALIDATION, LATE: VALIDATION * 3 // 4 + 5, HALF: VALIDATION // 2 + 3}
"""From which place on the tokens are replaced: not at the border of a window."""
EARLY_TOKENS = range(1, 60)
CONTROLS = 4
"""Ids of a tokenizer that stand for no text."""
TRUE = -1
"""Stands for the last token as it is."""
_SUM = "token"


def texts(text: Text) -> dict[str, Tokens]:
    """The validation texts of the first round, by name."""
    changed = {name: _replaced(text, start, VALIDATION + 1) for name, start in FROM.items()}
    same = dict.fromkeys((BASE, PLAIN, REPEAT), text.validation)
    return {**same, **changed, EARLY: _replaced(text, EARLY_TOKENS.start, EARLY_TOKENS.stop)}


def last_tokens(text: Text, count: int, skip: int) -> dict[str, Tokens]:
    """Texts with another last token: ``count`` of them, after the first ``skip`` of a fixed order, each as
    likely as any other of the vocabulary.
    """
    found: dict[str, Tokens] = {}
    order = np.random.default_rng(0).permutation(np.arange(CONTROLS, text.vocabulary, dtype=np.uint16))
    others = order[order != text.validation[VALIDATION]]
    for token in others[skip : skip + count]:
        tokens = text.validation.copy()
        tokens[VALIDATION] = token
        found[f"{_SUM}{int(token)}"] = tokens
    return found


def is_sum(name: str) -> bool:
    """Whether a text is one of ``last_tokens``."""
    return name.startswith(_SUM)


def token_of(name: str) -> int:
    """Its last token."""
    return int(name.removeprefix(_SUM))


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
