"""A value that was read in a file, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pgaudit.finding import Location
from pgaudit.submission import File

T = TypeVar("T")

LINE_WIDTH = 160
"""Lines quoted in reports are cut to this many characters."""


LARGEST_TEXT = 2_000_000
"""Bytes of a file beside the main ones that is searched for words; larger ones hold results."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value and where it stands."""

    value: T
    location: Location


def place(path: str, line: int, text: str) -> Location:
    """The location of a line, with its text cut to a readable length."""
    return Location(path, line, text=text.strip()[:LINE_WIDTH])


def is_readable(file: File) -> bool:
    """Whether a file beside the main ones is there and small enough to be searched for words."""
    return not file.problem and (file.size or 0) <= LARGEST_TEXT
