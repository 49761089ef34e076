"""``pgaudit corpus``: ruled submissions by the functions that they are made of, for ``scan --corpus``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pgaudit.cli.common import OutputFile, writing
from pgaudit.errors import CorpusError, NothingToAudit, PgauditError

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

    rows = list(_rulings(rulings))
    with GitClone(repo) as clone, writing(output) as stream:
        entries = 0
        for row in track(rows, "indexing", console=Console(stderr=True)):
            for entry in _entries(clone, row):
                stream.write(entry.line())
                entries += 1
    if not entries:
        raise NothingToAudit(f"{rulings}: none of the {len(rows)} ruled submissions is in {repo}")


def _rulings(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file of rulings. Raises ``CorpusError`` with file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{path}:{number}: not JSON: {error}") from error
        wanted = {"pr": int, "folder": str, "verdict": str}
        if not isinstance(row, dict) or any(type(row.get(key)) is not kind for key, kind in wanted.items()):
            raise CorpusError(f"{path}:{number}: needs pr (a whole number), folder and verdict (strings)")
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
