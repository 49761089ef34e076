"""Many re-runs: a table for people, one line of JSON each for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import shorten

from pgaudit.output import Format, escape
from pgaudit.output.json import document
from pgaudit.output.reproduction import headline, render, whole
from pgaudit.report import Report
from pgaudit.reproduce.check import Status
from pgaudit.reproduce.jobs import Refused, Reproduced

WIDTHS = (8, 10, 7, 10, 11)
SAYS = 90


def render_all(outcomes: Sequence[tuple[Reproduced | Refused, Report]], style: Format) -> str:
    """What became of each submission."""
    if style is Format.JSON:
        return "".join(_line(outcome, report) for outcome, report in outcomes)
    rows = [_row(outcome) for outcome, _ in outcomes]
    heads = ("", "result", "seeds", "val_bpb", "bytes", "what decides it")
    if style is Format.MARKDOWN:
        table = [_cells(heads), "|---|---|---:|---:|---:|---|", *(_cells(row) for row in rows)]
        whole_reports = [render(o.run, report, style) for o, report in outcomes if isinstance(o, Reproduced)]
        return "\n".join([*table, "", *whole_reports])
    return "".join(f"{_columns(row)}\n" for row in (heads, *rows))


def _line(outcome: Reproduced | Refused, report: Report) -> str:
    values = whole(outcome.run, report) if isinstance(outcome, Reproduced) else document(report)
    return json.dumps(values, allow_nan=False) + "\n"


def _row(outcome: Reproduced | Refused) -> tuple[str, ...]:
    if isinstance(outcome, Refused):
        return outcome.name, "not run", "-", "-", "-", str(outcome.problem)
    run = outcome.run
    finished = [seed for seed in run.seeds if seed.finished]
    score = next(check for check in run.checks if check.name == "val_bpb")
    size = max((seed.total_bytes for seed in run.seeds if seed.total_bytes is not None), default=None)
    ended = [f"seed {seed.seed} did not finish: {seed.explanation}" for seed in run.seeds if not seed.finished]
    failed = [f"{check.name}: {check.because}" for check in run.checks if check.status is Status.FAILS]
    return (
        outcome.job.name,
        run.result.value,
        f"{len(finished)}/{len(run.plan.seeds)}",
        score.measured.split(" ")[0] or "-",
        "-" if size is None else f"{size:,}",
        "; ".join([*failed, *ended]) or run.stopped or headline(run),
    )


def _columns(row: tuple[str, ...]) -> str:
    cells = [
        f"{escape.plain(cell):{'<' if at < 2 else '>'}{width}}"
        for at, (cell, width) in enumerate(zip(row, WIDTHS, strict=False))
    ]
    return "  ".join([*cells, shorten(escape.plain(row[-1]), SAYS, placeholder=" …")])


def _cells(row: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(escape.markdown, row))} |"
