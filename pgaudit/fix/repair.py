"""A repair: what changes in one file, why, and the diff that says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff

LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Change:
    """One place of a file and what should stand there."""

    key: str
    """The key of a JSON object, or the row and column of a table."""
    value: str
    """As text of the file."""
    because: str
    """What states it, with the place."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What becomes of one file."""

    path: str
    """Relative to the record folder."""
    before: str
    after: str
    changes: tuple[Change, ...]
    left: tuple[str, ...]
    """What is missing and no file states for certain."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Whole lines of one file and what should stand in their place, as a review suggests it."""

    path: str
    """Relative to the record folder."""
    first: int
    """1-based; the lines from ``first`` to ``last``, both included, are replaced."""
    last: int
    lines: tuple[str, ...]
    """Without their ends."""
    because: tuple[str, ...]
    """What states the values that stand in the lines."""


def replacements(repair: Repair) -> Iterator[Replacement]:
    """The repair by lines. What is only added replaces the line before it by that line and the new ones.

    Nothing for a file whose line ends are not plain: a suggestion would write others.
    """
    before, after = repair.before.split("\n"), repair.after.split("\n")
    if "\r" in repair.before:
        return
    for tag, first, last, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        # An addition has no line to replace: it hangs on the one before it, or on the first line of the file.
        above = int(first == last and first > 0)
        below = int(first == last == 0)
        lines = tuple(after[start - above : end + below])
        because = tuple(
            f"{change.key}: {change.value} ({change.because})"
            for change in repair.changes
            if any(change.value in line for line in lines)
        )
        yield Replacement(repair.path, first - above + 1, last + below, lines, because)


def diff(path: str, before: str, after: str) -> str:
    """The unified diff of a file, as ``git apply`` and ``patch -p1`` take it; empty where nothing changes."""
    lines = unified_diff(LINE.findall(before), LINE.findall(after), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
