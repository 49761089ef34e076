"""``pgaudit corpus``: ruled submissions by the functions that they are made of, for ``scan --corpus``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaudit.cli.common import OutputFile, writing
from pgaudit.errors import CorpusError, ExitCode, NothingToAudit, PgauditError

if TYPE_CHECKING:
    from pgaudit.collect.clone import GitClone
    from pgaudit.evidence.corpus import Ruled


def corpus(
    repo: Annotated[Path, typer.Option(help="A clone (bare is enough) with refs/pull/N/head.")],
    rulings: Annotated[
        Path,
        typer.Option(help="JSON lines with pr, folder and verdict; mechanisms and source if known.", metavar="FILE"),
    ],
    output: OutputFile = None,
) -> None:
    """Index submissions that were ruled on, so that a scan can say which of them a new one descends from."""
    from rich.console import Console
    from rich.progress import track

    from pgaudit.collect.clone import GitClone
    from pgaudit.output.escape import plain

    rows = list(_rulings(rulings))
    with GitClone(repo) as clone, writing(output) as stream:
        found = 0
        for row in track(rows, "indexing", console=Console(stderr=True)):
            entries = list(_entries(clone, row))
            stream.writelines(entry.line() for entry in entries)
            found += len(entries)
            if not entries:
                typer.echo(plain(f"left out: #{row['pr']} {row['folder']}: no script of it can be read"), err=True)
    if not found:
        raise NothingToAudit(f"{rulings}: none of the {len(rows)} ruled submissions is in {repo}")
    raise typer.Exit(ExitCode.CLEAN if found == len(rows) else ExitCode.INCOMPLETE)


def _rulings(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file of rulings. Raises ``CorpusError`` with file and line."""
    from pgaudit.evidence.corpus import json_lines

    wanted = {"pr": int, "folder": str, "verdict": str}
    for where, row in json_lines(path):
        if any(type(row.get(key)) is not kind for key, kind in wanted.items()):
            raise CorpusError(f"{where}: needs pr (a whole number), folder and verdict (strings)")
        if not isinstance(row.get("mechanisms", []), list) or not isinstance(row.get("source", ""), str):
            raise CorpusError(f"{where}: mechanisms is a list and source a string, where they are given")
        yield row


def _entries(clone: GitClone, row: dict[str, Any]) -> Iterator[Ruled]:
    """What a ruling is about, if the clone has it and its code can be read."""
    from pgaudit import policy
    from pgaudit.evidence.corpus import Ruled
    from pgaudit.evidence.evidence import Evidence

    try:
        collected = clone.pull_request(row["pr"])
    except PgauditError:
        return
    for submission in collected.submissions:
        if submission.folder != row["folder"]:
            continue
        functions = Evidence(submission, policy.load().edition_at(collected.origin.date)).functions
        if functions:
            mechanisms = tuple(map(str, row.get("mechanisms", ())))
            source = str(row.get("source", f"https://github.com/openai/parameter-golf/pull/{row['pr']}"))
            yield Ruled(row["pr"], row["folder"], row["verdict"], mechanisms, source, frozenset(functions))
