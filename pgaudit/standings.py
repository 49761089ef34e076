"""The records that stood at a date: the challenge's own leaderboard, as data in ``rules/policy/leaderboard.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache

from pgaudit.policy import shipped_policy

ROUNDED = 1e-4
"""Bits per byte: a row of the leaderboard that is this near may be the submission's own."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One accepted row of the record track."""

    date: date
    val_bpb: float
    author: str
    pr: int | None
    """The pull request, where the leaderboard names one."""


@cache
def leaderboard() -> tuple[Standing, ...]:
    """Every row, oldest first."""
    document = tomllib.loads(shipped_policy("leaderboard.toml").read_text("utf-8"))
    return tuple(Standing(row["date"], row["val_bpb"], row["author"], row.get("pr")) for row in document["row"])


def record_before(day: date, score: float, pr: int | None) -> Standing | None:
    """The best row of the days before, but for the submission's own; those of the same day may not have been known."""
    others = (row for row in leaderboard() if row.date < day and abs(row.val_bpb - score) > ROUNDED)
    return min((row for row in others if pr is None or row.pr != pr), key=lambda row: row.val_bpb, default=None)
