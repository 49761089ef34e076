"""The report as an overview for $GITHUB_STEP_SUMMARY: one table of verdicts, one of findings. Never above its limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgaudit.output import escape
from pgaudit.output.wording import summary
from pgaudit.report import Report

MOST_BYTES = 1_000_000
"""GitHub refuses a summary above 1 MiB (1,048,576 bytes)."""


def render(report: Report) -> str:
    """The tables, cut after the last row that fits."""
    made_by = f"pgaudit {report.version}, rulebook {report.rulebook}, policy edition {report.edition}"
    foot = f"\n{summary(report)} · {escape.markdown(made_by)}\n"
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
    findings = [(folder.folder, finding) for folder in report.submissions for finding in folder.findings]
    if findings:
        yield "\n| | rule | where | what |\n|---|---|---|---|"
    for folder_name, finding in findings:
        severity = f"{finding.severity.value}{' (known)' if finding.known else ''}"
        place = f"{folder_name}: {finding.location}" if len(report.submissions) > 1 else str(finding.location)
        yield f"| {severity} | {finding.rule} | {escape.markdown(place)} | {escape.markdown(finding.message)} |"
    gaps = [(folder.folder, gap) for folder in report.submissions for gap in folder.gaps]
    if gaps:
        yield "\n**Not checked**\n"
    for folder_name, gap in gaps:
        yield f"- {escape.markdown(f'{folder_name}: {gap.check}: {gap.reason}')}"


def _fitting(rows: Iterable[str], room: int) -> Iterator[str]:
    room -= 100  # for the line that counts the rest
    for row in rows:
        room -= len(row.encode()) + 1
        if room < 0:
            return
        yield row
