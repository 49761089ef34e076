"""``pgaudit sweep``: the audit of many pull requests of one clone, as a table."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pgaudit.cli.common import CorpusFile, EditionDate, OutputFile, WaiverFile, read_corpus, read_waivers, writing
from pgaudit.errors import ExitCode, NothingToAudit, TargetError
from pgaudit.report import FailOn, reaches


class Table(StrEnum):
    """How ``sweep`` writes its table."""

    JSONL = "jsonl"


def sweep(
    repo: Annotated[Path, typer.Option(help="A clone (bare is enough) with refs/pull/N/head.")],
    prs: Annotated[str, typer.Option(help="Numbers and ranges (`1-500,1471`), or `@FILE` with one per line.")],
    style: Annotated[Table, typer.Option("--format", help="How to write the table.")] = Table.JSONL,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes (default: one per core).")] = None,
    fail_on: Annotated[FailOn, typer.Option(help="The weakest finding that gives exit status 10.")] = FailOn.NEVER,
    waivers: WaiverFile = None,
    corpus: CorpusFile = None,
    output: OutputFile = None,
    edition: EditionDate = None,
) -> None:
    """Audit every record folder of many pull requests: one line of JSON each, in the order of the numbers."""
    from rich.console import Console
    from rich.progress import track

    from pgaudit import rulebook
    from pgaudit.collect.clone import GitClone
    from pgaudit.output import jsonl
    from pgaudit.sweep import Settings
    from pgaudit.sweep import sweep as audit_all

    line = {Table.JSONL: jsonl.line}[style]
    book = rulebook.load()
    day = edition.date() if edition else None
    settings = Settings(repo, book.directory, read_waivers(waivers, book), day, read_corpus(corpus))
    with GitClone(repo) as clone:
        numbers = select(prs, clone.pull_numbers())
    if not numbers:
        raise NothingToAudit(f"--prs {prs}: no such pull request in {repo}")
    status = ExitCode.CLEAN
    results = audit_all(numbers, settings, min(jobs or os.cpu_count() or 1, len(numbers)))
    with writing(output) as stream:
        for folders in track(results, "auditing", total=len(numbers), console=Console(stderr=True)):
            for folder in folders:
                stream.write(line(folder))
                stream.flush()
                if any(reaches(finding, fail_on) for finding in folder.findings):
                    status = ExitCode.FINDINGS
                elif folder.gaps:
                    status = max(status, ExitCode.INCOMPLETE)
    raise typer.Exit(status)


def select(text: str, existing: Collection[int]) -> list[int]:
    """The pull request numbers that ``--prs`` asks for, ascending.

    A range means those of its numbers that exist in the clone; a single number is asked for whether or not it
    does, so that a missing ref shows up in the table. Raises ``TargetError``.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TargetError(f"--prs {text}: cannot read: {error}") from error
    known, chosen = set(existing), set[int]()
    for item in re.split(r"[\s,]+", text.strip()):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", item)
        if not match:
            raise TargetError(f"--prs: {item!r} is not a number or a range", hint="--prs 1-500,1471 or --prs @FILE")
        first, last = int(match[1]), match[2]
        chosen |= {first} if last is None else {number for number in known if first <= number <= int(last)}
    return sorted(chosen)
