"""Folders and bare scripts on disk, and a script on standard input."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from pgaudit.collect.assemble import submission, unopened
from pgaudit.collect.layout import ROOT, owner, printable, record_folders
from pgaudit.errors import NothingToAudit, TargetError
from pgaudit.submission import MAX_TEXT_BYTES, Collected, File, Origin, Submission, UnreadableFile

MAX_PATHS = 200_000
"""Files looked at in one target, so that a home folder or a file system named by mistake ends soon."""

_KNOWN_PLACE = re.compile(r".*/(records(?:/track_[^/]+(?:/[^/]+)?)?)")
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def from_path(target: str) -> Collected:
    """The record folders below a folder, or the folder itself where there are none; or one bare script.

    Symbolic links inside the folder are listed and never followed. Raises ``TargetError`` and ``NothingToAudit``.
    """
    shown = printable(target)
    origin = Origin(shown)
    try:
        path = Path(target).resolve(strict=True)
        mode = path.stat().st_mode
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links, before Python 3.13
        reason = _reason(error) if isinstance(error, OSError) else "a loop of symbolic links"
        raise TargetError(f"{shown}: {reason}") from error
    if stat.S_ISREG(mode):
        name = printable(Path(target).name)
        return Collected(origin, (Submission(ROOT, {name: _file(path, name)}, origin),))
    if not stat.S_ISDIR(mode):
        raise TargetError(f"{shown} is {_kind(mode)}", hint="name a folder or a script, or pipe a script into -")
    return Collected(origin, tuple(_submissions(path, origin)))


def from_stdin() -> Collected:
    """One bare script on standard input, called ``train_gpt.py``."""
    origin = Origin("-")
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    if not data:
        raise NothingToAudit("standard input is empty")
    script = File("train_gpt.py", len(data), lambda: data)
    return Collected(origin, (Submission(ROOT, {script.path: script}, origin),))


def overwrite(target: str, submission: Submission, path: str, text: str) -> None:
    """Write a file of a submission back to the folder on disk that it was read from.

    Raises ``TargetError`` where the target is no such folder, or where the file is not what was read.
    """
    shown = printable(target)
    root = Path(target)
    if not root.is_dir():
        raise TargetError(f"{shown} is not a folder on disk", hint="drop --write, or name a folder")
    root = root.resolve(strict=True)
    place = _KNOWN_PLACE.fullmatch(root.as_posix())
    inside = "" if submission.folder == ROOT else submission.folder
    file = root / (inside.removeprefix(place[1]).lstrip("/") if place else inside) / path
    try:
        if _read(file, path) != submission.files[path].data:
            raise TargetError(f"{shown}: {path} changed while it was read", hint="run the command again")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)), "wb") as stream:
            stream.write(text.encode("utf-8"))
    except (OSError, UnreadableFile) as error:
        raise TargetError(f"{shown}: cannot write {path}: {error}") from error


def _submissions(root: Path, origin: Origin) -> Iterator[Submission]:
    place = _KNOWN_PLACE.fullmatch(root.as_posix())
    prefix = f"{place[1]}/" if place else ""
    paths = [prefix + path for path in _walk(root, origin.source)]
    if not paths:
        raise NothingToAudit(f"{origin.source} holds no file")
    folders = record_folders(paths) or {place[1] if place else ROOT}
    members: dict[str, list[str]] = {folder: [] for folder in sorted(folders)}
    for path in paths:
        if folder := owner(path, folders):
            members[folder].append(path)
    for folder, inside in members.items():
        yield submission(folder, inside, lambda path, shown: _file(root / path.removeprefix(prefix), shown), origin)


def _walk(root: Path, shown: str) -> Iterator[str]:
    """Every file below ``root`` but git's own, in a fixed order, and every folder that cannot be listed."""
    pending, seen = [""], 0
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise TargetError(f"{shown}: {_reason(error)}") from error
            yield prefix[:-1]
            continue
        seen += len(found)
        if seen > MAX_PATHS:
            raise TargetError(f"{shown} holds more than {MAX_PATHS:,} files", hint="name one record folder")
        for entry in found:
            if not entry.is_dir(follow_symlinks=False):
                yield prefix + entry.name
            elif entry.name != ".git":
                pending.append(f"{prefix}{entry.name}/")


def _file(path: Path, shown: str) -> File:
    try:
        status = path.lstat()
    except OSError as error:
        return unopened(shown, _reason(error))
    if not stat.S_ISREG(status.st_mode):
        return unopened(shown, _kind(status.st_mode))
    return File(shown, status.st_size, lambda: _read(path, shown))


def _read(path: Path, shown: str) -> bytes:
    try:
        with os.fdopen(os.open(path, _OPEN_FLAGS), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UnreadableFile(shown, "no longer a regular file")
            return stream.read(MAX_TEXT_BYTES)
    except OSError as error:
        raise UnreadableFile(shown, _reason(error)) from error


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder that cannot be listed",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def _reason(error: OSError) -> str:
    known = {errno.ENOENT: "no such file or folder", errno.ELOOP: "a loop of symbolic links"}
    return known.get(error.errno or 0) or (error.strerror or str(error)).lower()
