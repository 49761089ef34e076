"""Tiny git repositories, made with git itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

TRACK = "records/track_10min_16mb"


class Repository:
    """A bare repository whose objects and refs a test writes one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(path), cwd=path.parent)

    def git(self, *arguments: str, cwd: Path | None = None, **variables: str) -> str:
        who = {f"GIT_{role}_{field}": "nobody" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")}
        isolated = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        env = os.environ | isolated | who | variables
        done = subprocess.run(["git", *arguments], cwd=cwd or self.path, env=env, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def write(self, kind: str, content: bytes) -> str:
        """A loose object, well-formed or not."""
        data = f"{kind} {len(content)}".encode() + b"\0" + content
        oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path = self.path / "objects" / oid[:2] / oid[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(data))
        return oid

    def tree(self, entries: Mapping[bytes, tuple[str, str]]) -> str:
        """A tree of ``name: (mode, oid)``, sorted the way git sorts."""
        ordered = sorted(entries.items(), key=lambda item: item[0] + (b"/" if item[1][0] == "40000" else b""))
        lines = (b"%s %s\0" % (mode.encode(), name) + bytes.fromhex(oid) for name, (mode, oid) in ordered)
        return self.write("tree", b"".join(lines))

    def folder(self, files: Mapping[str, str]) -> str:
        """The tree of ``path: text``."""
        entries: dict[bytes, tuple[str, str]] = {}
        for name in {path.partition("/")[0] for path in files}:
            below = {path.removeprefix(f"{name}/"): text for path, text in files.items() if path.startswith(f"{name}/")}
            leaf = ("100644", self.write("blob", files.get(name, "").encode()))
            entries[name.encode()] = ("40000", self.folder(below)) if below else leaf
        return self.tree(entries)

    def commit(self, tree: str | Mapping[str, str], *parents: str, date: str = "2026-04-01T12:00:00Z") -> str:
        oid = tree if isinstance(tree, str) else self.folder(tree)
        arguments = [argument for parent in parents for argument in ("-p", parent)]
        return self.git("commit-tree", oid, "-m", "change", *arguments, GIT_COMMITTER_DATE=date, GIT_AUTHOR_DATE=date)

    def main(self, oid: str) -> None:
        self.git("update-ref", "refs/heads/main", oid)

    def pull(self, number: int, oid: str) -> None:
        self.git("update-ref", f"refs/pull/{number}/head", oid)
