"""Which mechanism slugs mean the same when a label and a result are compared."""

from __future__ import annotations

from collections.abc import Iterable

FAMILIES: tuple[frozenset[str], ...] = (
    frozenset({"ngram-target-in-key", "unnormalised-mix", "byte-mixer-unnormalised"}),
    frozenset({"two-pass-rescore", "ttt-rescore", "ttt-last-epoch-or-min", "oracle-mixing"}),
    frozenset({"target-aware-gate", "oracle-mixing"}),
    frozenset({"prequant-ttt", "ttt-train-before-score", "ttt-rescore", "val-in-training"}),
    frozenset({"slot-scored-tokens", "slot-shared-delta"}),
    frozenset({"eval-subset", "noncanonical-validation"}),
    frozenset({"log-mismatch", "log-not-from-script"}),
)
"""One defect seen from two sides: whoever names a member of a family has named the others. A slug may be in several."""

FACTS = frozenset(
    {
        "external-access",
        "log-mismatch",
        "log-not-from-script",
        "metadata-defect",
        "missing-files",
        "oversize",
        "overtime-eval",
        "overtime-train",
        "script-broken",
        "significance",
        "val-selection",
        "wrong-folder",
    }
)
"""Limits, files, logs and metadata: true beside any verdict, so never an unexplained accusation."""


def kin(slug: str) -> frozenset[str]:
    """The slug and every slug that counts as naming it."""
    return frozenset({slug}).union(*(family for family in FAMILIES if slug in family))


def explained_by(slugs: Iterable[str]) -> frozenset[str]:
    """Everything that a line with these labels accounts for."""
    return frozenset().union(*map(kin, slugs))
