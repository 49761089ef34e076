"""Which shipped files a run has read, by the kernel's own record of it and not by what the code seems to do.

Every file gets an access time of 1970 before the run. Reading moves it (mount option ``relatime``, Linux's default, moves one
that is older than the last change), and a program that sets it back changes the time of the entry, which it cannot set.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

CANARY = "access-times"


def forget(folder: Path, paths: Iterable[str]) -> None:
    """Make every file look unread."""
    for path in paths:
        found = os.lstat(folder / path)
        os.utime(folder / path, ns=(0, found.st_mtime_ns), follow_symlinks=False)


def are_recorded(folder: Path) -> bool:
    """Whether reads leave a trace on the file system of a folder; mounted with ``noatime`` they do not."""
    canary = folder / CANARY
    canary.write_bytes(b"canary")
    try:
        forget(folder, [CANARY])
        canary.read_bytes()
        return os.lstat(canary).st_atime_ns != 0
    finally:
        canary.unlink()


def since(folder: Path, paths: Iterable[str]) -> frozenset[str]:
    """The files that were read since ``forget``; one that is gone cannot tell, and counts as read."""
    return frozenset(
        path for path in paths if not (folder / path).is_file() or os.lstat(folder / path).st_atime_ns != 0
    )
