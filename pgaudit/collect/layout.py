"""Which folders are submissions, and how a path that could be anything is shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

ROOT = "."
"""The folder name of the top of a repository or target."""

SPECIAL_MODES = {"120000": "a symbolic link", "160000": "a submodule"}
"""git's modes for what is listed in a tree and is not a file."""

_TRACK = re.compile(r"(?:[^/]+/)*?records/track_[^/]+/[^/]+(?=/)")
_OUTSIDE_TRACKS = re.compile(r"(?:[^/]+/)*?records/(?!track_)[^/]+/")
_TRAINING_SCRIPT = re.compile(r"train[^/]*\.py")


def record_folders(paths: Iterable[str]) -> set[str]:
    """The record folders that hold ``paths``.

    These are ``records/track_…/NAME``, where there is none of them the same below any prefix (a checkout inside another; beside
    them it is an archived copy), and, where the track was left out, the outermost folder below ``records`` that holds
    files itself and a training script or a ``submission.json``.
    """
    folders: set[str] = set()
    rest: list[str] = []
    for path in paths:
        if match := _TRACK.match(path):
            folders.add(match[0])
        elif _OUTSIDE_TRACKS.match(path):
            rest.append(path)
    folders = {folder for folder in folders if folder.startswith("records/")} or folders
    holders = {_parent(path) for path in rest}
    folders |= {folder for path in rest if _is_marker(path) and (folder := owner(path, holders))}
    return _outermost(folders)


def stray_folders(paths: Collection[str], *, beside_records: bool) -> set[str]:
    """The folders outside ``records`` that a change presents as a submission; ``paths`` are its files there.

    A ``submission.json`` marks one; where the change has neither that nor a record folder, a training script does.
    The repository's own ``train_gpt.py`` is what the README has people run, so changing it always counts.
    """
    described = {_parent(path) for path in paths if _name(path) == "submission.json"}
    marked = set() if beside_records else _outermost(described)
    if not (marked or beside_records):
        return _outermost({_parent(path) for path in paths if _is_marker(path)})
    return marked | {ROOT} if "train_gpt.py" in paths else marked


def owner(path: str, folders: Collection[str]) -> str | None:
    """The outermost of ``folders`` that holds ``path``."""
    if ROOT in folders:
        return ROOT
    ancestors = (path[: slash.start()] for slash in re.finditer("/", path))
    return next((folder for folder in ancestors if folder in folders), None)


def is_plain(path: str) -> bool:
    """Whether ``path`` stays below its root: relative, and without ``.``, ``..`` or empty components."""
    return not {"", ".", ".."} & set(path.split("/"))


def printable(path: str) -> str:
    r"""``path`` with everything that could garble a report escaped, so that different paths stay different.

    Bytes that are not UTF-8 (surrogate escapes) and control characters become ``\xNN`` or ``\uNNNN``.
    """
    if path.isprintable() and "\\" not in path:
        return path
    return "".join(char if char.isprintable() and char != "\\" else _escape(char) for char in path)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return char.encode("unicode_escape").decode()
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _outermost(folders: set[str]) -> set[str]:
    return {owner(f"{folder}/", folders) or folder for folder in folders}


def _is_marker(path: str) -> bool:
    name = _name(path)
    return name == "submission.json" or _TRAINING_SCRIPT.fullmatch(name) is not None


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or ROOT
