"""``pgaudit card``: what is this submission made of, and do its logs show what it claims?"""

from __future__ import annotations

from typing import Annotated

import typer

from pgaudit.cli.common import (
    BaseRevision,
    CloneDirectory,
    OutputFile,
    PullRequest,
    Revision,
    Target,
    submissions,
    writing,
)
from pgaudit.errors import ExitCode
from pgaudit.output import Format


def card(
    target: Target = None,
    repo: CloneDirectory = None,
    pr: PullRequest = None,
    rev: Revision = None,
    base: BaseRevision = None,
    style: Annotated[Format, typer.Option("--format", help="How to write the card.")] = Format.TERMINAL,
    explain: Annotated[bool, typer.Option("--explain", help="Show what set each value.")] = False,
    output: OutputFile = None,
) -> None:
    """What a submission is made of, by its code and logs, and its claims beside them. Judges nothing."""
    from pgaudit import policy
    from pgaudit.card.card import cards_of
    from pgaudit.output.card import render

    found = submissions(target, repo, pr, rev, base)
    cards = cards_of(found, policy.load())
    with writing(output) as stream:
        stream.write(render(cards, found.origin, style, explain=explain, interactive=stream.isatty()))
    raise typer.Exit(ExitCode.INCOMPLETE if any(card.gaps for card in cards) else ExitCode.CLEAN)
