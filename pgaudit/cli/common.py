"""Options and steps that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from pgaudit.errors import NothingToAudit, TargetError

if TYPE_CHECKING:
    from pgaudit.evidence.corpus import Corpus
    from pgaudit.rulebook import Rulebook
    from pgaudit.submission import Collected
    from pgaudit.waivers import Waivers

Target = Annotated[
    str | None,
    typer.Argument(
        help="Record folder, script, checkout, `-` or OWNER/REPO#N (default: here); with --pr or --rev, a folder of it."
    ),
]
CloneDirectory = Annotated[
    Path | None, typer.Option("--repo", help="Read a pull request or a ref of this clone; no checkout.")
]
PullRequest = Annotated[int | None, typer.Option("--pr", min=1, help="Number of a pull request in --repo.")]
Revision = Annotated[str | None, typer.Option("--rev", help="A ref or commit in --repo.")]
BaseRevision = Annotated[
    str | None, typer.Option("--base", help="What --rev is compared with (default: the default branch).")
]
EditionDate = Annotated[
    datetime | None,
    typer.Option(
        "--edition", formats=["%Y-%m-%d"], help="Apply the policy of this date (default: the head's own date)."
    ),
]
WaiverFile = Annotated[
    Path | None, typer.Option("--waivers", help="TOML file with findings that the referee set aside.", metavar="FILE")
]
CorpusFile = Annotated[
    Path | None,
    typer.Option("--corpus", help="Submissions with a ruling, to say which one this descends from.", metavar="FILE"),
]
OutputFile = Annotated[Path | None, typer.Option("--output", "-o", help="Write here, not to standard output.")]


def submissions(
    target: str | None, repo: Path | None = None, pr: int | None = None, rev: str | None = None, base: str | None = None
) -> Collected:
    """What a command is asked about. Raises ``NothingToAudit`` where the target holds no submission."""
    from pgaudit.collect import collect

    collected = collect(target or (None if repo else "."), repo=repo, pr=pr, rev=rev, base=base)
    if not collected.submissions:
        raise NothingToAudit(f"{collected.origin.source}: no record folder and no script to audit")
    return collected


def read_waivers(path: Path | None, book: Rulebook) -> Waivers:
    """The waivers of a file as they stand today. This is the only place that asks for the date."""
    from pgaudit import waivers

    if path is None:
        return waivers.Waivers()
    return waivers.load(path, {entry.rule.id for entry in book}, date.today())  # noqa: DTZ011 -- the day where the referee sits


def read_corpus(path: Path | None) -> Corpus | None:
    """The corpus of a file, if one is named."""
    from pgaudit.evidence import corpus

    return corpus.load(path) if path else None


@contextmanager
def writing(path: Path | None) -> Iterator[TextIO]:
    """The stream that a report goes to."""
    if path is None:
        yield sys.stdout
        return
    try:
        stream = path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise TargetError(f"{path}: cannot write: {error.strerror}") from error
    with stream:
        yield stream
