"""Pull requests and revisions, read straight from a clone without a checkout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pgaudit.collect import git
from pgaudit.collect.assemble import assemble, submission, unopened
from pgaudit.collect.layout import SPECIAL_MODES, printable
from pgaudit.collect.objects import ObjectStore
from pgaudit.errors import TargetError
from pgaudit.submission import Collected, File, Origin, UnreadableFile

_PULL = re.compile(r"refs/pull/(\d+)/head")
_PLACES = ("refs/remotes/origin", "refs/heads")
_DEFAULT_BRANCHES = tuple(f"{place}/{name}" for name in ("main", "master") for place in _PLACES)
"""Where the default branch is looked for, in this order, then ``HEAD``: what was fetched is fresher than what is local."""

_INERT = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never")


class GitClone:
    """A normal or bare clone. Files of what it returns can be read until it is closed."""

    def __init__(self, path: Path) -> None:
        """Raises ``TargetError`` where ``path`` is not inside a git repository."""
        self._path = path
        objects, shallow = self._locate()
        self._shallow = shallow.is_file()
        listing = self._git("for-each-ref", "--format=%(objectname) %(refname)", "refs/pull", *_DEFAULT_BRANCHES)
        self._refs = {name: oid for oid, _, name in (line.partition(" ") for line in listing)}
        self._store = ObjectStore(objects, shallow)

    def __enter__(self) -> GitClone:
        return self

    def __exit__(self, *raised: object) -> None:
        self._store.close()

    def pull_numbers(self) -> list[int]:
        """The pull requests whose head this clone has, ascending."""
        return sorted(int(match[1]) for ref in self._refs if (match := _PULL.fullmatch(ref)))

    def pull_request(self, number: int) -> Collected:
        """What pull request ``number`` changes. Raises ``TargetError``."""
        ref = f"refs/pull/{number}/head"
        if ref not in self._refs:
            raise TargetError(f"{self._shown} has no {ref}", hint=f"git fetch origin {ref}:{ref}")
        return self._change(self._store.peel(self._refs[ref]), self._default_branch(), ref, number)

    def revision(self, rev: str, base: str | None = None) -> Collected:
        """What ``rev`` changes since it left ``base`` (default: the default branch). Raises ``TargetError``."""
        return self._change(self._resolve(rev), self._resolve(base) if base else self._default_branch(), rev)

    def record(self, folder: str, rev: str) -> Collected:
        """The record folder ``folder`` as it stands at ``rev``, whoever added it. Raises ``TargetError``."""
        head = self._resolve(rev)
        commit = self._store.commit(head)
        root = self._store.subtree(commit.tree, folder)
        if root is None:
            raise TargetError(f"{printable(rev)} has no folder {printable(folder)}")
        tree = _Tree(self._store, None, root, f"{folder}/")
        origin = Origin(printable(f"{rev}:{folder}"), head=head, date=commit.date)
        return Collected(origin, (submission(folder, tree.changed, tree.file, origin),))

    def _change(self, head: str, base: str, source: str, number: int | None = None) -> Collected:
        commit = self._store.commit(head)
        fork = self._fork(base, head)
        if fork is None and self._shallow:
            message = f"{self._shown} is a shallow clone without the commit where {printable(source)} starts"
            raise TargetError(message, hint="git fetch --unshallow")
        tree = _Tree(self._store, None if fork == head else self._store.commit(fork or base).tree, commit.tree)
        if fork is None:
            # No common history: a merge would add what the base does not hold as it is, and delete nothing.
            tree.deleted = frozenset()
        return assemble(tree, Origin(printable(source), number, head, commit.date))

    def _fork(self, base: str, head: str) -> str | None:
        """The commit that ``head`` is compared with.

        ``None`` where the clone knows of no common history with ``base``; ``head`` itself where nothing precedes it.
        """
        fork = self._merge_base(base, head)
        if fork != head:
            return fork
        # Already merged, perhaps by way of another branch: compare with the first-parent line just before the merge.
        descendants = set(self._store.run("rev-list", "--ancestry-path", f"{head}..{base}"))
        merges = [oid for oid in self._store.run("rev-list", "--first-parent", base) if oid in descendants]
        if merges:
            fork = self._merge_base(self._store.commit(merges[-1]).parents[0], head)
        if fork != head:
            return fork
        # A commit of the base's own first-parent line (pushed or squashed): what it changed itself.
        return next(iter(self._store.commit(head).parents), head)

    def _merge_base(self, one: str, other: str) -> str | None:
        return next(iter(self._store.run("merge-base", one, other)), None)

    def _default_branch(self) -> str:
        known = (self._refs[name] for name in _DEFAULT_BRANCHES if name in self._refs)
        return next(known, None) or self._resolve("HEAD")

    def _resolve(self, rev: str) -> str:
        """The commit that ``rev`` names."""
        try:
            oid = self._git("rev-parse", "--verify", "--end-of-options", rev)[0]
            return self._store.peel(oid)
        except TargetError as error:
            raise TargetError(f"{self._shown} has no commit {printable(rev)}") from error

    def _locate(self) -> tuple[Path, Path]:
        """The folder of the clone's objects, and its list of cut-off commits."""
        if not self._path.is_dir():
            raise TargetError(f"{self._shown} is not a folder")
        places = ("--git-path", "objects", "--git-path", "shallow")
        objects, shallow, kind = self._git("rev-parse", *places, "--show-object-format")
        if kind != "sha1":
            raise TargetError(f"{self._shown} uses {kind} object names; pgaudit reads sha1, as GitHub does")
        return self._path.resolve() / objects, self._path / shallow

    def _git(self, *arguments: str) -> list[str]:
        """The lines that git prints in the clone itself: only refs are read there, never objects or the index."""
        done = git.run((*_INERT, *arguments), git.environment(keep_configuration=True), self._path)
        if done.returncode:
            raise self._refusal(done.stderr)
        return done.stdout.splitlines()

    def _refusal(self, message: str) -> TargetError:
        if "not a git repository" in message:
            return TargetError(f"{self._shown} is not a git repository")
        if "dubious ownership" in message:
            hint = f"git config --global --add safe.directory {self._shown}"
            return TargetError(f"{self._shown} belongs to another user, and git refuses to read it", hint)
        return TargetError(f"{self._shown}: {printable(message.strip())}")

    @property
    def _shown(self) -> str:
        return printable(str(self._path))


class _Tree:
    """The tree ``new`` and how it differs from ``old``; both start at ``prefix`` in the repository."""

    def __init__(self, store: ObjectStore, old: str | None, new: str, prefix: str = "") -> None:
        self._store = store
        self._root = new
        changes = dict(store.changes(old, new, prefix))
        self._entries = {path: entry for path, entry in changes.items() if entry}
        self.changed = frozenset(self._entries)
        self.deleted = frozenset(changes) - self.changed

    def below(self, folder: str) -> Iterator[str]:
        for path, entry in self._store.changes(None, self._store.subtree(self._root, folder), f"{folder}/"):
            if entry:
                self._entries[path] = entry
                yield path

    def file(self, path: str, shown: str) -> File:
        mode, oid = self._entries[path]
        changed = path in self.changed
        if problem := SPECIAL_MODES.get(mode):
            return unopened(shown, problem, changed=changed)
        try:
            size = self._store.size(oid)
        except git.MissingObjectError:
            return unopened(shown, "the clone does not hold its content", changed=changed)
        return File(shown, size, lambda: self._read(oid, shown), changed=changed)

    def _read(self, oid: str, shown: str) -> bytes:
        try:
            return self._store.read(oid)
        except TargetError as error:
            raise UnreadableFile(shown, str(error)) from error
