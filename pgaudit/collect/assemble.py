"""From the tree at the head of a change to its submissions: the same for a clone and for GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

from pgaudit.collect.layout import ROOT, owner, printable, record_folders, stray_folders
from pgaudit.submission import Collected, File, Origin, Submission

MAX_FILES = 10_000
"""A submission lists this many files; real ones stay below 300."""


class Head(Protocol):
    """The tree at the head of a change, and what the change did to it. Paths are relative to the repository."""

    changed: frozenset[str]
    """Paths that the change adds or modifies."""
    deleted: frozenset[str]

    def below(self, folder: str) -> Iterable[str]:
        """Every path of the tree below ``folder``."""

    def file(self, path: str, shown: str) -> File:
        """The file at ``path``, listed as ``shown``."""


def assemble(head: Head, origin: Origin) -> Collected:
    """One submission for each record folder that the change touches, whole; elsewhere only the changed files."""
    records = record_folders(head.changed)
    outside = {path for path in head.changed if owner(path, records) is None}
    strays = stray_folders(outside, beside_records=bool(records))
    submissions = [submission(folder, head.below(folder), head.file, origin) for folder in records]
    for folder in strays:
        paths = [path for path in outside if owner(path, strays - {ROOT}) == (None if folder == ROOT else folder)]
        submissions.append(submission(folder, paths, head.file, origin))
    return Collected(
        origin,
        tuple(sorted(submissions, key=lambda each: each.folder)),
        outside=tuple(sorted(map(printable, outside))),
        deleted=tuple(sorted(map(printable, head.deleted))),
    )


def submission(folder: str, paths: Iterable[str], file: Callable[[str, str], File], origin: Origin) -> Submission:
    """The submission ``folder`` made of ``paths``; beyond ``MAX_FILES`` the last one listed says so."""
    start = 0 if folder == ROOT else len(folder) + 1
    listed = sorted((printable(path[start:]), path) for path in islice(paths, MAX_FILES + 1))
    files = {shown: file(path, shown) for shown, path in listed}
    if len(listed) > MAX_FILES:
        last, _ = listed[-1]
        files[last] = unopened(last, f"the folder has more than {MAX_FILES:,} files: the others are not listed")
    return Submission(printable(folder), files, origin)


def unopened(shown: str, problem: str, size: int | None = None, *, changed: bool = True) -> File:
    """A file that is listed but never opened: ``File`` refuses to fetch what has a problem."""
    return File(shown, size, bytes, problem, changed)
