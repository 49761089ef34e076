"""``pgaudit probe``: does any score depend on a later token, and do the probabilities sum to one? Measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaudit.cli.common import (
    BaseRevision,
    CloneDirectory,
    EditionDate,
    OutputFile,
    PullRequest,
    Revision,
    Target,
    submissions,
    writing,
)
from pgaudit.errors import ExitCode, TargetError
from pgaudit.output import Format

if TYPE_CHECKING:
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.probe.probe import Probed
    from pgaudit.sandbox import Backend


NEEDED = "import numpy, torch"
"""What the host inside the sandbox stands on."""


def probe(
    target: Target = None,
    repo: CloneDirectory = None,
    pr: PullRequest = None,
    rev: Revision = None,
    base: BaseRevision = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="Until one shrunken run is ended.")] = 90.0,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time.")] = 2,
    python: Annotated[Path | None, typer.Option(help="The Python that runs it (default: this one).")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the runs in this new folder.", metavar="DIR")] = None,
    style: Annotated[Format, typer.Option("--format", help="How to write the report.")] = Format.TERMINAL,
    explain: Annotated[bool, typer.Option("--explain", help="Show what was made small, and what stood in.")] = False,
    output: OutputFile = None,
    edition: EditionDate = None,
) -> None:
    """Run the evaluation of a submission, shrunken, in a sandbox on this CPU, on one changed text after another.

    Exit status 10 says that the submission is illegal by reading or by measurement, 4 that nothing could be judged.
    """
    from pgaudit import policy, rulebook
    from pgaudit.audit import audit
    from pgaudit.evidence.evidence import Evidence
    from pgaudit.output.probing import render
    from pgaudit.probe.report import with_probe
    from pgaudit.report import FailOn
    from pgaudit.sandbox import find

    backend = find()
    book = rulebook.load()
    collected = submissions(target, repo, pr, rev, base)
    report = audit(collected, book, policy.load(), on=edition.date() if edition else None)
    limits = policy.load().edition_at(edition.date() if edition else collected.origin.date)
    declared = {entry.rule.id: entry.rule for entry in book}
    probed: dict[str, Probed] = {}
    folders = []
    for submission, folder in zip(collected.submissions, report.submissions, strict=True):
        evidence = Evidence(submission, limits)
        typer.echo(f"{folder.folder}: is run on one text after another", err=True)
        probed[folder.folder] = _probe(evidence, backend, python, keep, seconds, jobs)
        folders.append(with_probe(folder, probed[folder.folder], evidence, declared))
    report = replace(report, submissions=tuple(folders))
    with writing(output) as stream:
        stream.write(render(report, probed, style, explain=explain))
    status = report.exit_code(FailOn.ERROR)
    judged = any(each.judged for each in probed.values())
    raise typer.Exit(status if status is ExitCode.FINDINGS else ExitCode.CLEAN if judged else ExitCode.INCOMPLETE)


def _probe(
    evidence: Evidence, backend: Backend, python: Path | None, keep: Path | None, seconds: float, jobs: int
) -> Probed:
    from pgaudit.probe import probe as probing
    from pgaudit.reproduce import interpreter

    folder = keep / evidence.submission.folder.replace("/", "_") if keep else probing.scratch()
    try:
        asked = interpreter.ask(python, evidence.submission, NEEDED)
        if lacking := [name for name in asked.missing if name.removeprefix("module ") in NEEDED]:
            raise TargetError(
                f"{asked.path} lacks what the probe needs: {', '.join(lacking)}",
                hint="install pgaudit[probe] there, or name another Python with --python",
            )
        return probing.probe(evidence, backend, asked, folder, seconds, jobs)
    finally:
        if keep is None:
            probing.discard(folder)
