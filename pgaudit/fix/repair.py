"""A repair: what changes in one file, why, and the diff that says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import unified_diff

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


def diff(path: str, before: str, after: str) -> str:
    """The unified diff of a file, as ``git apply`` and ``patch -p1`` take it; empty where nothing changes."""
    lines = unified_diff(LINE.findall(before), LINE.findall(after), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
