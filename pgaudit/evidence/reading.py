"""A value that was read in a file, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pgaudit.finding import Location

T = TypeVar("T")

LINE_WIDTH = 160
"""Lines quoted in reports are cut to this many characters."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value and where it stands."""

    value: T
    location: Location


def place(path: str, line: int, text: str) -> Location:
    """The location of a line, with its text cut to a readable length."""
    return Location(path, line, text=text.strip()[:LINE_WIDTH])
