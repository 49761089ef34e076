"""Which lines of a pull request can carry a comment: those that GitHub shows in its diff."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pgaudit.collect.layout import ROOT, printable
from pgaudit.finding import Location

HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")
LOGS = frozenset({".log", ".txt", ".out", ".csv", ".jsonl"})
"""Nobody reviews a log line by line, and its diff is folded: findings there are quoted in the summary."""


@dataclass(frozen=True, slots=True)
class Diff:
    """The lines of the head, by path in the repository, that are part of some hunk; lines of one hunk belong together."""

    hunks: Mapping[str, tuple[range, ...]]

    def place(self, folder: str, location: Location) -> tuple[str, int] | None:
        """The path and line that a comment on ``location`` goes to; ``None`` for what the diff does not show as text."""
        if location.line is None or location.layer or PurePosixPath(location.path).suffix.lower() in LOGS:
            return None
        return self.lines(folder, location.path, location.line, location.line)

    def lines(self, folder: str, path: str, first: int, last: int) -> tuple[str, int] | None:
        """The path in the repository and the last line, if one hunk shows all the lines from ``first`` to ``last``."""
        whole = repository_path(folder, path)
        shown = any(first in hunk and last in hunk for hunk in self.hunks.get(whole, ()))
        return (whole, last) if shown else None


def repository_path(folder: str, path: str) -> str:
    """The path in the repository of a file of a record folder."""
    return path if folder == ROOT else f"{folder}/{path}"


def read(files: list[dict[str, object]]) -> Diff:
    """The diff of the files as GitHub lists them; a file without a ``patch`` (binary, too large) shows no line."""
    shown = (file for file in files if file["status"] != "removed" and is_kept(str(file["filename"])))
    return Diff({str(file["filename"]): tuple(hunks(str(file.get("patch") or ""))) for file in shown})


def is_kept(name: str) -> bool:
    """Whether reports name the file as GitHub does."""
    return printable(name) == name


def hunks(patch: str) -> Iterator[range]:
    """The lines of the new file that each hunk of a patch shows.

    Only a header says so: a line of the file that looks like one is marked by a blank, ``+`` or ``-`` before it.
    """
    for line in patch.split("\n"):
        if match := HUNK.match(line):
            first, count = int(match[1]), int(match[2] or 1)
            yield range(first, first + count)
