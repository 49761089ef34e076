"""What a card holds: facts of the code with their places, and the claims beside what the logs show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pgaudit.finding import Gap, Location


class Category(StrEnum):
    """What a fact is about, in the order of a card."""

    ARCHITECTURE = "architecture"
    OPTIMIZER = "optimizer"
    AVERAGING = "weight averaging"
    SCHEDULE = "learning-rate schedule"
    QUANTISATION = "quantisation"
    COMPRESSION = "compression"
    EVALUATION = "evaluation"
    TEST_TIME = "test-time training"
    INITIALISATION = "initialisation"
    LENGTH = "sequence length"
    REGULARISATION = "regularisation"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a fact comes with."""

    name: str
    value: str
    source: str
    """What set it in the run: ``train.log:12``, ``README.md:30``, ``code default`` …; ``code`` for a literal."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that the code does, under the name that the field gives it."""

    category: Category
    name: str
    place: Location
    """Where it is done, or where the setting is read that decides it."""
    parameters: tuple[Parameter, ...] = ()
    dormant: str = ""
    """What keeps it from running (``TTT_ENABLED=0, train.log:73``); empty for what is used."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A claim, or what the logs show of it, as text with its places."""

    value: str
    places: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One claim of submission.json beside what the shipped files show."""

    name: str
    seed: str | None
    """The seed that it is stated for; ``None`` for the submission as a whole."""
    claimed: Figure | None
    found: Figure | None
    """``None`` where no shipped file shows it."""
    agrees: bool | None
    """``None`` where one side is missing."""


@dataclass(frozen=True, slots=True)
class Card:
    """What one record folder is made of."""

    pr: int | None
    folder: str
    head: str | None
    """Commit id of the head that was read."""
    script: Location | None
    """The text whose run the facts are of: a file, or what was decoded from it."""
    facts: tuple[Fact, ...]
    """By category; within one, used before dormant."""
    comparisons: tuple[Comparison, ...]
    gaps: tuple[Gap, ...]
    """What could not be read, so that the card may lack it."""
