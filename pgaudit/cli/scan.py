"""``pgaudit scan``: is anything in this submission against the rules?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pgaudit.cli.common import EditionDate, OutputFile, WaiverFile, read_waivers, writing
from pgaudit.errors import NothingToAudit
from pgaudit.output import Format
from pgaudit.report import FailOn


def scan(
    target: Annotated[
        str | None,
        typer.Argument(
            help="Record folder, script, checkout, `-` or OWNER/REPO#N (default: here); with --rev, a folder of it."
        ),
    ] = None,
    repo: Annotated[Path | None, typer.Option(help="Read a pull request or a ref of this clone; no checkout.")] = None,
    pr: Annotated[int | None, typer.Option(min=1, help="Number of a pull request in --repo.")] = None,
    rev: Annotated[str | None, typer.Option(help="A ref or commit in --repo.")] = None,
    base: Annotated[str | None, typer.Option(help="What --rev is compared with (default: the default branch).")] = None,
    style: Annotated[Format, typer.Option("--format", help="How to write the report.")] = Format.TERMINAL,
    fail_on: Annotated[FailOn, typer.Option(help="The weakest finding that gives exit status 10.")] = FailOn.ERROR,
    explain: Annotated[bool, typer.Option("--explain", help="Show full traces, every ruling and the numbers.")] = False,
    waivers: WaiverFile = None,
    output: OutputFile = None,
    edition: EditionDate = None,
) -> None:
    """Audit one submission without running it: what breaks a rule, where, by which ruling."""
    from pgaudit import policy, rulebook
    from pgaudit.audit import audit
    from pgaudit.collect import collect
    from pgaudit.output import render

    book = rulebook.load()
    set_aside = read_waivers(waivers, book)
    collected = collect(target or (None if repo else "."), repo=repo, pr=pr, rev=rev, base=base)
    if not collected.submissions:
        raise NothingToAudit(f"{collected.origin.source}: no record folder and no script to audit")
    report = audit(collected, book, policy.load(), set_aside, edition.date() if edition else None)
    with writing(output) as stream:
        stream.write(render(report, style, explain=explain, interactive=stream.isatty()))
    raise typer.Exit(report.exit_code(fail_on))
