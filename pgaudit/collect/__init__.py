"""Targets to submissions: a folder, a script, a git clone, a pull request on GitHub. Everything is read, nothing is run.

Each kind of source has its module, imported only when it is asked for; ``layout`` says what a record folder is,
for all of them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pgaudit.errors import TargetError
from pgaudit.submission import Collected

if TYPE_CHECKING:
    from pgaudit.collect.clone import GitClone

__all__ = ["GitClone", "collect"]

_NAME = r"([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+)"
_GITHUB = re.compile(rf"(?:https?://)?(?:www\.)?github\.com/{_NAME}/pull/([0-9]+)(?:[/?#].*)?|{_NAME}#([0-9]+)")


def collect(
    target: str | None,
    *,
    repo: Path | None = None,
    pr: int | None = None,
    rev: str | None = None,
    base: str | None = None,
) -> Collected:
    """The submissions that a target holds.

    Without ``repo``, ``target`` is a folder, a script, ``-`` (a script on standard input), ``owner/repo#N`` or the
    address of a pull request on GitHub. With ``repo``, a clone, it is pull request ``pr`` or what ``rev`` changes
    since it left ``base``; a ``target`` then names one record folder: of those that ``pr`` adds, or any of ``rev``.
    Raises ``TargetError`` for what cannot be used and ``NothingToAudit`` for a folder without a file.
    """
    if repo is not None:
        return _from_clone(repo, target, pr, rev, base)
    if pr is not None or rev is not None or base is not None:
        raise TargetError("--pr, --rev and --base say what to read from a clone", hint="name the clone with --repo DIR")
    if target is None:
        raise TargetError("no target was named", hint="name a folder, a script, or a pull request as owner/repo#N")
    if match := _GITHUB.fullmatch(target):
        from pgaudit.collect.github import GitHub

        return GitHub().pull_request(match[1] or match[3], int(match[2] or match[4]))
    from pgaudit.collect import folder

    return folder.from_stdin() if target == "-" else folder.from_path(target)


def _from_clone(repo: Path, target: str | None, pr: int | None, rev: str | None, base: str | None) -> Collected:
    if (pr is None) == (rev is None):
        raise TargetError("a clone holds many submissions", hint="name one with either --pr N or --rev REF")
    if pr is not None and base is not None:
        raise TargetError("--pr N already says what it is compared with", hint="drop --base")
    if target is not None and base is not None:
        raise TargetError("a folder of a revision is read as it stands", hint="drop --base, or the folder")
    from pgaudit.collect.clone import GitClone

    # Not closed here: the files are read later, and the clone goes when the last of them does.
    clone = GitClone(repo)
    if pr is not None:
        return _only(clone.pull_request(pr), target)
    if target is not None:
        return clone.record(PurePosixPath(target).as_posix(), rev or "")
    return clone.revision(rev or "", base)


def __getattr__(name: str) -> object:
    """``GitClone``, imported when it is first asked for: starting processes is a heavy import for auditing a folder."""
    if name != "GitClone":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pgaudit.collect.clone import GitClone

    return GitClone


def _only(collected: Collected, folder: str | None) -> Collected:
    """One folder of those that were found. Raises ``TargetError`` for one that is not among them."""
    if folder is None:
        return collected
    chosen = tuple(each for each in collected.submissions if each.folder == PurePosixPath(folder).as_posix())
    if not chosen:
        found = ", ".join(each.folder for each in collected.submissions) or "none"
        raise TargetError(f"{collected.origin.source} adds no record folder {folder}", hint=f"it adds: {found}")
    return replace(collected, submissions=chosen)
