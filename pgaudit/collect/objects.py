"""A clone's objects through git's batch interface, with none of the clone's configuration.

git runs in an empty repository of our own whose object store is the clone's. So no hook, filter or alias of the
clone takes part, replacement objects are ignored, and a partial clone has no remote to fetch absent objects from,
whatever the version of git.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from pgaudit.collect import git
from pgaudit.collect.git import Batch
from pgaudit.collect.layout import is_plain, printable
from pgaudit.errors import TargetError

MAX_ENTRIES = 200_000
"""Entries looked at in one listing: a few kilobytes of trees that share subtrees can describe billions of paths."""

_OID_BYTES = 20


class Entry(NamedTuple):
    """One entry of a tree."""

    mode: str
    oid: str

    @property
    def is_tree(self) -> bool:
        """A folder, rather than a file, symbolic link or submodule."""
        return self.mode == "40000"


@dataclass(frozen=True, slots=True)
class Commit:
    """What pgaudit reads of a commit."""

    tree: str
    parents: tuple[str, ...]
    date: date | None
    """Committer date (UTC); ``None`` where the commit states a time that no calendar has."""


class ObjectStore:
    """Reads objects until ``close``, which also comes with garbage collection. Not for several threads at once."""

    def __init__(self, objects: Path, shallow: Path) -> None:
        """``objects`` is the clone's object folder, ``shallow`` its list of cut-off commits (absent in a full clone)."""
        home = Path(tempfile.mkdtemp(prefix="pgaudit-"))
        (home / "refs").mkdir()
        (home / "HEAD").write_text("ref: refs/heads/main\n")
        if shallow.is_file():
            shutil.copyfile(shallow, home / "shallow")
        self._environment = git.environment(keep_configuration=False) | {
            "GIT_DIR": str(home),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self._contents = Batch("--batch", self._environment)
        self._headers = Batch("--batch-check", self._environment)
        self.close = weakref.finalize(self, _dispose, self._contents, self._headers, home)

    def size(self, oid: str) -> int:
        """Size of a blob in bytes. Raises ``MissingObjectError``."""
        return self._headers.ask(oid)[1]

    def peel(self, oid: str) -> str:
        """The commit that ``oid``, a commit or an annotated tag, stands for. Raises ``MissingObjectError``."""
        return self._headers.ask(f"{oid}^{{commit}}")[0]

    def read(self, oid: str) -> bytes:
        """The content of an object. Raises ``MissingObjectError``."""
        _, size = self._contents.ask(oid)
        return self._contents.take(size)

    def commit(self, oid: str) -> Commit:
        """The commit ``oid``. Raises ``MissingObjectError``."""
        header = self.read(oid).partition(b"\n\n")[0].decode("latin-1")
        tree = re.search(r"^tree (\w+)$", header, re.MULTILINE)
        committed = re.search(r"^committer .*> (-?\d{1,18}) [+-]\d+$", header, re.MULTILINE)
        if tree is None:
            raise TargetError(f"{oid} is not a commit")
        parents = re.findall(r"^parent (\w+)$", header, re.MULTILINE)
        return Commit(tree[1], tuple(parents), _utc_date(int(committed[1])) if committed else None)

    def tree(self, oid: str) -> dict[str, Entry]:
        """The entries of a tree by name. Raises ``MissingObjectError``, and ``TargetError`` for one that git refuses."""
        data, entries, at = self.read(oid), dict[str, Entry](), 0
        try:
            while at < len(data):
                end = data.index(b"\0", at)
                mode, _, name = data[at:end].partition(b" ")
                at = end + 1 + _OID_BYTES
                entries[name.decode("utf-8", "surrogateescape")] = Entry(mode.decode(), data[end + 1 : at].hex())
        except ValueError as error:
            raise TargetError(f"object {oid} is not a well-formed tree") from error
        if refused := [name for name in entries if "/" in name or not is_plain(name)]:
            raise TargetError(f"tree {oid} has an entry named {printable(refused[0])!r}, which git refuses")
        return entries

    def subtree(self, tree: str, path: str) -> str | None:
        """The tree at ``path`` below ``tree``, if there is one."""
        for name in path.split("/"):
            entry = self.tree(tree).get(name)
            if entry is None or not entry.is_tree:
                return None
            tree = entry.oid
        return tree

    def changes(self, old: str | None, new: str | None, prefix: str = "") -> Iterator[tuple[str, Entry | None]]:
        """Files that differ between two trees (``None``: the empty one): path below ``prefix``, and entry in ``new``."""
        pending, seen = [(old, new, prefix)], 0
        while pending:
            old, new, prefix = pending.pop()
            before, after = (self.tree(oid) if oid else {} for oid in (old, new))
            names = sorted(before.keys() | after.keys())
            seen += 1 + len(names)
            if seen > MAX_ENTRIES:
                raise TargetError(f"more than {MAX_ENTRIES:,} files and folders below {printable(prefix) or 'the top'}")
            for name in names:
                left, right = before.get(name), after.get(name)
                if left == right:
                    continue
                folders = [side.oid if side and side.is_tree else None for side in (left, right)]
                if any(folders):
                    pending.append((folders[0], folders[1], f"{prefix}{name}/"))
                if right and not right.is_tree:
                    yield prefix + name, right
                elif left and not left.is_tree:
                    yield prefix + name, None

    def run(self, *arguments: str) -> list[str]:
        """The lines that a git command prints; none where it found nothing (status 1)."""
        done = git.run(arguments, self._environment)
        if done.returncode > 1:
            raise TargetError(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout.splitlines()


def _utc_date(seconds: int) -> date | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None


def _dispose(contents: Batch, headers: Batch, home: Path) -> None:
    contents.close()
    headers.close()
    shutil.rmtree(home, ignore_errors=True)
