"""``pgaudit scan``: is anything in this submission against the rules?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgaudit.cli.common import (
    BaseRevision,
    CloneDirectory,
    CorpusFile,
    EditionDate,
    OutputFile,
    PullRequest,
    Revision,
    Target,
    WaiverFile,
    read_corpus,
    read_waivers,
    submissions,
    writing,
)
from pgaudit.cli.review import MOST_INLINE, MostInline, publish, say
from pgaudit.errors import ExitCode, PostError, TargetError
from pgaudit.output import ReportFormat
from pgaudit.report import FailOn


def scan(
    target: Target = None,
    repo: CloneDirectory = None,
    pr: PullRequest = None,
    rev: Revision = None,
    base: BaseRevision = None,
    style: Annotated[ReportFormat, typer.Option("--format", help="How to write the report.")] = ReportFormat.TERMINAL,
    also: Annotated[
        list[str] | None,
        typer.Option(help="Write the report in another format too; can be repeated.", metavar="FORMAT=FILE"),
    ] = None,
    fail_on: Annotated[FailOn, typer.Option(help="The weakest finding that gives exit status 10.")] = FailOn.ERROR,
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="An earlier JSON report: what it has already is marked as known and fails nothing.", metavar="FILE"
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show full traces, every ruling and the numbers.")] = False,
    waivers: WaiverFile = None,
    corpus: CorpusFile = None,
    output: OutputFile = None,
    edition: EditionDate = None,
    post: Annotated[
        bool, typer.Option("--post", help="Post the report as a review as well; for OWNER/REPO#N only.")
    ] = False,
    most_inline: MostInline = MOST_INLINE,
) -> None:
    """Audit one submission without running it: what breaks a rule, where, by which ruling."""
    from pgaudit import policy, rulebook
    from pgaudit.audit import audit
    from pgaudit.baseline import load as load_baseline
    from pgaudit.output import render

    copies = [copy(text) for text in also or ()]
    book = rulebook.load()
    set_aside = read_waivers(waivers, book)
    earlier = load_baseline(baseline) if baseline else None
    collected = submissions(target, repo, pr, rev, base)
    if post and not collected.origin.repository:
        raise TargetError(
            "--post needs a pull request on GitHub, as OWNER/REPO#N",
            hint="for a clone: scan --format json --output REPORT.json, then pgaudit review post REPORT.json",
        )
    report = audit(collected, book, policy.load(), set_aside, edition.date() if edition else None, read_corpus(corpus))
    report = earlier.mark(report) if earlier else report
    for kind, path in ((style, output), *copies):
        with writing(path) as stream:
            interactive = stream.isatty()
            stream.write(render(report, kind, explain=explain, interactive=interactive, fail_on=fail_on))
    status = report.exit_code(fail_on)
    if post and report.origin.repository and report.origin.pr:
        try:
            publish(
                report,
                book,
                report.origin.repository,
                report.origin.pr,
                dry_run=False,
                most_inline=most_inline,
                fail_on=fail_on,
            )
        except PostError as error:
            if status is not ExitCode.FINDINGS:
                raise
            say(f"pgaudit: {error}")  # what was found decides; it has been reported above
    raise typer.Exit(status)


def copy(text: str) -> tuple[ReportFormat, Path]:
    """What one ``--also`` asks for. Raises ``TargetError``."""
    name, _, path = text.partition("=")
    if not path or name not in list(ReportFormat):
        raise TargetError(f"--also {text}: not FORMAT=FILE", hint=f"formats: {', '.join(ReportFormat)}")
    return ReportFormat(name), Path(path)
