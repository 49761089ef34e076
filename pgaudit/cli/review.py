"""``pgaudit review``: a report as one review of a pull request on GitHub."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaudit.errors import PgauditError, ReportError, TargetError
from pgaudit.report import FailOn

if TYPE_CHECKING:
    from stamina.instrumentation import RetryDetails

    from pgaudit.report import Report
    from pgaudit.rulebook import Rulebook

app = typer.Typer(help="Post a report as one review of a pull request.", no_args_is_help=True)

MOST_INLINE = 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+")

MostInline = Annotated[
    int,
    typer.Option(
        "--most-inline", min=0, max=100, help="At most so many comments in the diff; the rest is in the summary."
    ),
]


@app.callback()
def options() -> None:
    """Post a report as one review of a pull request. The token comes from GITHUB_TOKEN."""


@app.command()
def post(
    report: Annotated[Path, typer.Argument(help="What `pgaudit scan --format json` wrote.", metavar="REPORT.json")],
    repo: Annotated[str, typer.Option("--repo", help="The repository on GitHub.", metavar="OWNER/NAME")],
    pr: Annotated[int, typer.Option("--pr", min=1, help="The pull request.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the requests that would change something, and send none of them.")
    ] = False,
    most_inline: MostInline = MOST_INLINE,
    fail_on: Annotated[
        FailOn, typer.Option(help="The weakest finding that makes the commit status fail.")
    ] = FailOn.ERROR,
) -> None:
    """Post a report as one review, or bring the review that is there up to date. Posting twice changes nothing.

    Refused where the report is about another pull request or not about its head. Exit status 4 says that GitHub failed:
    what was posted so far stands, and posting again completes it.
    """
    from pgaudit import rulebook
    from pgaudit.review.reading import read

    if not NAME.fullmatch(repo):
        raise TargetError(f"--repo {repo!r} is no repository on GitHub", hint="as openai/parameter-golf")
    book = rulebook.load()
    publish(read(report, book), book, repo, pr, dry_run=dry_run, most_inline=most_inline, fail_on=fail_on)


def publish(
    report: Report, book: Rulebook, repository: str, pr: int, *, dry_run: bool, most_inline: int, fail_on: FailOn
) -> None:
    """Post a report. Raises ``ReportError`` where it is about something else, ``PostError`` where GitHub fails."""
    origin = report.origin
    if origin.pr != pr:
        about = f"pull request {origin.pr}" if origin.pr else f"{origin.source}, no pull request"
        raise ReportError(f"the report is about {about}, not about pull request {pr}")
    if origin.repository and origin.repository.lower() != repository.lower():
        raise ReportError(f"the report is about {origin.repository}, not about {repository}")
    if not re.fullmatch(r"[0-9a-f]{40}", origin.head or ""):
        raise ReportError("the report does not say which commit it is about")
    import_client()
    from pgaudit.review.compose import Review, Style, compose
    from pgaudit.review.github import GitHub
    from pgaudit.review.places import Diff
    from pgaudit.review.posting import post as bring_up_to_date

    server = (os.environ.get("GITHUB_SERVER_URL") or "https://github.com").rstrip("/")
    style = Style(most_inline, fail_on, f"{server}/{repository}")

    def made(diff: Diff, refused: frozenset[str]) -> Review:
        return compose(report, book, diff, style, refused)

    with GitHub(repository, pr, preview=sys.stdout if dry_run else None) as api:
        if dry_run and not api.known:
            typer.echo(
                "without GITHUB_TOKEN a review that is there already cannot be seen: this is the first one", err=True
            )
        posted = bring_up_to_date(api, origin.head or "", made)
    for remark in posted.remarks:
        say(remark)
    if posted.address:
        say(posted.address)


def import_client() -> None:
    """Import what talks to GitHub, or say how to install it; and announce when a request is repeated."""
    try:
        import httpx  # noqa: F401 -- imported where it is used; here it is only asked for
        from stamina.instrumentation import set_on_retry_hooks
    except ImportError as error:
        raise PgauditError(f"posting needs {error.name}", hint="pip install 'pgaudit[review]'") from error
    set_on_retry_hooks([_announce])


def _announce(details: RetryDetails) -> None:
    say(f"{details.caused_by}; again in {details.wait_for:.0f} s")


def say(text: str) -> None:
    """One line on standard error."""
    from pgaudit.output.escape import plain

    typer.echo(plain(text), err=True)
