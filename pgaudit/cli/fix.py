"""``pgaudit fix``: what can be repaired in submission.json without asking its author."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pgaudit.cli.common import BaseRevision, CloneDirectory, PullRequest, Revision, Target, submissions
from pgaudit.errors import ExitCode, NothingToAudit, TargetError


def fix(
    target: Target = None,
    repo: CloneDirectory = None,
    pr: PullRequest = None,
    rev: Revision = None,
    base: BaseRevision = None,
    show: Annotated[bool, typer.Option("--diff", help="Print a unified diff (the default).")] = False,
    write: Annotated[bool, typer.Option("--write", help="Change the file; a folder on disk only.")] = False,
) -> None:
    """Complete submission.json from the shipped files: sizes, seeds and scores that they state without a doubt.

    Exit status 10 says that there is something to change and it was not written. Nothing makes a score legal.
    """
    from pgaudit import policy
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.fix.members import diff
    from pgaudit.fix.submission_json import repair

    if write and repo is not None:
        raise TargetError("a clone is only read", hint="drop --write, or name a folder on disk")
    collected = submissions(target, repo, pr, rev, base)
    found = [
        (submission, repaired)
        for submission in collected.submissions
        if (repaired := repair(Evidence(submission, policy.load().edition_at(collected.origin.date))))
    ]
    if not found:
        raise NothingToAudit(f"{collected.origin.source}: no submission.json to repair")
    for submission, repaired in found:
        path = f"{submission.folder}/{repaired.path}".removeprefix("./")
        for change in repaired.changes:
            note(f'{path}: "{change.key}": {change.value} ({change.because})')
        for key in repaired.left:
            note(f'{path}: "{key}" is left to its author')
        if show or not write:
            sys.stdout.write(shown(diff(path, repaired.before, repaired.after)))
        if write and repaired.changes:
            from pgaudit.collect.folder import overwrite

            overwrite(target or ".", submission, repaired.path, repaired.after)
    open_changes = any(repaired.changes for _, repaired in found) and not write
    raise typer.Exit(ExitCode.FINDINGS if open_changes else ExitCode.CLEAN)


def note(text: str) -> None:
    """One line on standard error, so that standard output holds the diff alone."""
    from pgaudit.output.escape import plain

    typer.echo(plain(text), err=True)


def shown(text: str) -> str:
    """A diff byte for byte, but for a terminal, which must not obey what a submitter wrote."""
    from pgaudit.output.escape import plain

    return "".join(f"{plain(line)}\n" for line in text.split("\n")[:-1]) if sys.stdout.isatty() else text
