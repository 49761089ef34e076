"""A check: one claim, or one thing that must hold, beside what was measured of it. Made by ``outcome``, ``significance``,
``divisor`` and ``swaps``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What became of one claim."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_COMPARABLE = "not comparable"
    NOT_DECIDED = "not decided"
    NOT_MEASURED = "not measured"
    NOT_SIGNIFICANT = "not significant"
    NOT_STATED = "not stated"


OPEN = {Status.NOT_DECIDED, Status.NOT_MEASURED}
"""What keeps a re-run from saying that everything holds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One claim beside what was measured."""

    name: str
    status: Status
    claimed: str
    measured: str
    because: str
    source: str
    """How the measured value was had."""
