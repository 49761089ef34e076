"""``pgaudit fix``: what can be repaired in submission.json and README.md without asking their author."""

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
    """Complete submission.json and blank cells of the README's tables from the shipped files, where they leave no doubt.

    Exit status 10 says that there is something to change and it was not written. Nothing makes a score legal.
    """
    from pgaudit import policy
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.fix import readme, submission_json
    from pgaudit.fix.repair import diff

    if write and repo is not None:
        raise TargetError("a clone is only read", hint="drop --write, or name a folder on disk")
    collected = submissions(target, repo, pr, rev, base)
    edition = policy.load().edition_at(collected.origin.date)
    both = [(each, Evidence(each, edition)) for each in collected.submissions]
    repairs = [
        (each, repair(evidence)) for each, evidence in both for repair in (submission_json.repair, readme.repair)
    ]
    found = [(submission, repaired) for submission, repaired in repairs if repaired]
    if not found:
        raise NothingToAudit(f"{collected.origin.source}: no submission.json and no README.md to repair")
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
