"""The submission: the files of one record folder, inert, whatever source they came from."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import BinaryIO

MAX_TEXT_BYTES = 64 * 1024 * 1024
"""A script, log, README or JSON file above this size is reported as unreadable, never loaded into memory."""


class UnreadableFile(Exception):
    """A file of the submission could not be read; ``reason`` is a phrase for the report."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class File:
    """One file of a submission; its content is fetched on first use and kept.

    ``path`` is POSIX, relative to the record folder, printable (undecodable name bytes are shown as ``\\xNN``).
    ``size`` is in bytes, ``None`` where the source cannot tell. ``problem`` says why the content cannot be had
    (a symlink, a device, a blob that this clone lacks); such a file is listed but never opened.
    """

    path: str
    size: int | None
    fetch: Callable[[], bytes] = field(repr=False, compare=False)
    problem: str = ""
    changed: bool = True
    """False for a file that the pull request leaves as it is on its base."""

    @property
    def name(self) -> str:
        """The last component of ``path``."""
        return self.path.rpartition("/")[2]

    @cached_property
    def data(self) -> bytes:
        """The whole content. Raises ``UnreadableFile``."""
        if self.problem:
            raise UnreadableFile(self.path, self.problem)
        if self.size is not None and self.size > MAX_TEXT_BYTES:
            raise UnreadableFile(self.path, f"{self.size:,} bytes is more than pgaudit reads ({MAX_TEXT_BYTES:,})")
        return self.fetch()

    def open(self) -> BinaryIO:
        """The content as a stream. Raises ``UnreadableFile``."""
        return io.BytesIO(self.data)


@dataclass(frozen=True)
class Origin:
    """Where a submission came from; ``None`` for what the source cannot tell."""

    source: str
    """What the user named: a path, ``owner/repo#N``, ``refs/pull/N/head`` …"""
    pr: int | None = None
    head: str | None = None
    """Commit id of the head that was read."""
    date: date | None = None
    """The head commit's committer date (UTC): offline it stands for the date of the pull request."""
    repository: str | None = None
    """``owner/name`` on GitHub, where the pull request was read from there."""


@dataclass(frozen=True)
class Submission:
    """One record folder."""

    folder: str
    """Path of the folder in the repository (``records/track_…/NAME``), ``.`` for files at the top of a target."""
    files: Mapping[str, File]
    """Every file below the folder by its path relative to it, in sorted order."""
    origin: Origin

    @property
    def track(self) -> str | None:
        """``record`` (10 minutes), ``non-record`` (no time limit), or ``None`` outside the official folders."""
        if "track_10min_16mb" in self.folder:
            return "record"
        return "non-record" if "track_non_record_16mb" in self.folder else None


@dataclass(frozen=True)
class Collected:
    """What one target holds: its submissions, and what a pull request touches beside them."""

    origin: Origin
    submissions: tuple[Submission, ...]
    outside: tuple[str, ...] = ()
    """Changed paths outside every record folder."""
    deleted: tuple[str, ...] = ()
