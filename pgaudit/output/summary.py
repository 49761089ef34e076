"""The report as an overview for $GITHUB_STEP_SUMMARY: a table of verdicts, and one of findings per folder. Never above its limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgaudit.output import escape
from pgaudit.output.wording import made_by, summary
from pgaudit.report import FolderReport, Report

MOST_BYTES = 1_000_000
"""GitHub refuses a summary above 1 MiB (1,048,576 bytes)."""


def render(report: Report) -> str:
    """The tables, cut after the last row that fits."""
    foot = f"\n{summary(report)} · {escape.markdown(made_by(report))}\n"
    rows = list(_rows(report))
    room = MOST_BYTES - len(foot.encode())
    kept = list(_fitting(rows, room))
    if len(kept) < len(rows):
        kept.append(f"\n… {len(rows) - len(kept)} more rows are in the other formats of this report")
    return "\n".join([*kept, foot])


def _rows(report: Report) -> Iterator[str]:
    yield "| verdict | record folder | level | findings | not checked |"
    yield "|---|---|---|---:|---:|"
    for folder in report.submissions:
        cells = (folder.verdict.value, escape.markdown(folder.folder), folder.level.value)
        yield f"| {' | '.join(cells)} | {len(folder.findings)} | {len(folder.gaps)} |"
    for folder in report.submissions:
        yield from _findings(folder)
        yield from _gaps(folder)


def _findings(folder: FolderReport) -> Iterator[str]:
    if folder.findings:
        yield f"\n**{escape.markdown(folder.folder)}**\n\n| | rule | where | what |\n|---|---|---|---|"
    for finding in folder.findings:
        severity = f"{finding.severity.value}{' (known)' if finding.known else ''}"
        place = escape.markdown(str(finding.location))
        yield f"| {severity} | {finding.rule} | {place} | {escape.markdown(finding.message)} |"


def _gaps(folder: FolderReport) -> Iterator[str]:
    if folder.gaps:
        yield f"\nNot checked in {escape.markdown(folder.folder)}:\n"
    for gap in folder.gaps:
        yield f"- {escape.markdown(f'{gap.check}: {gap.reason}')}"


def _fitting(rows: Iterable[str], room: int) -> Iterator[str]:
    room -= 100  # for the line that counts the rest
    for row in rows:
        room -= len(row.encode()) + 1
        if room < 0:
            return
        yield row
