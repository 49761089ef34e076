"""A probe for people and programs. Everything that a submission printed or is called goes through ``escape``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from pgaudit.output import Format, escape
from pgaudit.output.json import document, value
from pgaudit.probe.probe import Probed
from pgaudit.probe.record import Measurement, Outcome
from pgaudit.report import FolderReport, Report

WIDTH = 100
SCHEMA_VERSION = "1.2"
"""The scan's schema with ``probe`` added to the record folder."""
MARKS = {Outcome.HOLDS: "✓", Outcome.VIOLATED: "✗"}


def render(report: Report, probed: Mapping[str, Probed], style: Format, *, explain: bool) -> str:
    """The report in one format; ``probed`` by record folder."""
    if style is Format.JSON:
        whole = document(report)
        whole["schema_version"] = SCHEMA_VERSION
        for folder in whole["submissions"]:
            folder["probe"] = measurements(probed[folder["folder"]])
        return json.dumps(whole, indent=2, allow_nan=False) + "\n"
    lines: list[str] = []
    for folder in report.submissions:
        own = probed[folder.folder]
        lines += _markdown(folder, own) if style is Format.MARKDOWN else _terminal(folder, own, explain=explain)
    return "\n".join(lines) + "\n"


def measurements(probed: Probed) -> dict[str, Any]:
    """One probe as JSON values."""
    found: dict[str, Any] = value(
        {
            "judged": probed.judged,
            "metric": probed.metric or None,
            "runs": probed.runs,
            "seconds": round(probed.seconds, 2),
            "measurements": [
                {
                    "condition": each.condition.value,
                    "outcome": each.outcome.value,
                    "sentence": each.sentence,
                    "line": each.site.line if each.site else None,
                    "numbers": each.numbers,
                }
                for each in probed.measurements
            ],
            "changes": [asdict(change) for change in probed.changes],
            "substituted": list(probed.substituted),
        }
    )
    return found


def _terminal(folder: FolderReport, probed: Probed, *, explain: bool) -> Iterator[str]:
    show = escape.plain
    yield f"{show(folder.folder)}  {folder.verdict.value}"
    yield f"  level {folder.level.value}{_metric(probed)}"
    yield ""
    for each in probed.measurements:
        yield f"{MARKS.get(each.outcome, '·')} {each.condition.value}: {each.outcome.value}"
        yield from wrap(show(_said(each)), WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"{probed.runs} runs, shrunken, on a CPU; the longest took {probed.seconds:.0f} s"
    if explain:
        yield "made small:"
        yield from (
            f"  {show(change.name)}: {change.old:g} → {change.new:g}, {change.reason}" for change in probed.changes
        )
        yield f"stood in for: {show(', '.join(probed.substituted)) or 'nothing'}"


def _markdown(folder: FolderReport, probed: Probed) -> Iterator[str]:
    show = escape.markdown
    yield f"### Probe: {escape.code(folder.folder)}"
    yield ""
    yield f"Verdict {folder.verdict.value}, level {folder.level.value}{show(_metric(probed))}."
    yield ""
    yield "| condition | | measured |"
    yield "|---|---|---|"
    for each in probed.measurements:
        yield f"| {each.condition.value} | {each.outcome.value} | {show(_said(each))} |"
    yield ""
    yield f"<details><summary>{len(probed.changes)} sizes made small, {probed.runs} runs on a CPU</summary>"
    yield ""
    yield "| name | was | is | reason |"
    yield "|---|---:|---:|---|"
    for change in probed.changes:
        yield f"| {show(change.name)} | {change.old:g} | {change.new:g} | {change.reason} |"
    yield ""
    yield f"In place of what is not on this machine: {show(', '.join(probed.substituted)) or 'nothing'}."
    yield ""
    yield "</details>"


def _metric(probed: Probed) -> str:
    return f" · judged by what was summed for {probed.metric!r}" if probed.metric else ""


def _said(measured: Measurement) -> str:
    site = measured.site
    return f"{measured.sentence} (summed in line {site.line})" if site else measured.sentence
