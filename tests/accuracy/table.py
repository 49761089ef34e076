"""What a sweep found of what the labels say, and everything that the two disagree on with its trace.

python -m tests.accuracy.table LABELS RESULTS [--tier gold] [--channels code,code+config] [--only FILE] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.accuracy.corrections import (
    SHIPPED,
    BadCorrection,
    Corrections,
    check_used,
    corrected,
    read_corrections,
)
from tests.accuracy.counting import Alarms, Count, Disagreement, Recall, count
from tests.accuracy.lines import (
    CODE_CHANNELS,
    VERDICTS,
    Key,
    Label,
    Result,
    chosen,
    read_keys,
    read_labels,
    read_results,
)
from tests.accuracy.rendering import MARKDOWN, TEXT, Row, Style

RECALL = ("lines", "found", "named", "extra", "review", "open")
ALARMS = ("lines", "illegal", "defect", "review", "open")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables. Exit status 2: a correction that breaks the form or corrects nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.table", description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("results", type=Path, help="JSON lines of `pgaudit sweep`")
    parser.add_argument("--tier", default="gold", help="gold, silver or all")
    parser.add_argument("--channels", default=CODE_CHANNELS, help="channels of illegal lines to count, or all")
    parser.add_argument("--only", type=Path, metavar="FILE", help="count these folders only: lines of pr<TAB>folder")
    parser.add_argument("--corrections", type=Path, default=SHIPPED, metavar="TOML")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    labels = read_labels(options.labels)
    try:
        corrections = read_corrections(options.corrections)
        check_used(labels, corrections)
    except BadCorrection as error:
        print(error, file=sys.stderr)
        return 2
    only = read_keys(options.only) if options.only else None
    select = (options.tier, options.channels, only)
    results = read_results(options.results)
    style = MARKDOWN if options.markdown else TEXT
    for line in report(labels, results, corrections, select, style):
        print(line)
    return 0


def report(
    labels: Sequence[Label],
    results: Mapping[Key, Result],
    corrections: Corrections,
    select: tuple[str, str, frozenset[Key] | None],
    style: Style,
) -> Iterator[str]:
    """The whole report; with the tables twice, raw and corrected, where corrections touch what is counted."""
    raw = chosen(labels, *select)
    put_right = chosen(corrected(labels, corrections), *select)
    touched = [label for label in raw if label.key in corrections]
    final = count(put_right, results)
    if touched:
        yield from tables(count(raw, results), "labels as they are", style)
        yield from tables(final, "labels as corrected", style)
    else:
        yield from tables(final, "labels", style)
    yield f"corrected labels: {len(touched)}"
    for label in touched:
        correction = corrections[label.key]
        was, now = _says(label.verdict, label.mechanisms), _says(correction.verdict, correction.mechanisms)
        yield f"{style.item(1)}{style.safe(f'{label.key}: {was}, corrected to {now}: {correction.why}')}"
    yield f"labels without a result: {sum(label.key not in results for label in put_right)}"
    yield from ("", style.heading(f"disagreements: {len(final.disagreements)}"))
    for disagreement in final.disagreements:
        yield from shown(disagreement, style)


def tables(total: Count, title: str, style: Style) -> Iterator[str]:
    """Recall by mechanism, alarms by class, and the confusion matrix."""
    yield from _section(f"illegal, {title}", ("mechanism", *RECALL), _recall_rows(total), style)
    yield _shares("recall", total.illegal, ("found", "named", "extra"))
    yield ""
    yield from _section(f"not illegal, {title}", ("class", *ALARMS), _alarm_rows(total), style)
    for verdict, row in sorted(total.others.items()):
        yield _shares(verdict, row, ("illegal", "defect", "review", "open"))
    yield ""
    seen = sorted({label for label, _ in total.confusion})
    cells: list[Row] = [(label, *(total.confusion[label, verdict] for verdict in VERDICTS)) for label in seen]
    yield from _section(f"verdicts, {title}", ("label \\ result", *VERDICTS), cells, style)
    yield ""


def _section(title: str, header: Row, rows: Sequence[Row], style: Style) -> Iterator[str]:
    yield style.heading(title)
    yield from style.table(header, rows)


def _recall_rows(total: Count) -> list[Row]:
    ordered = sorted(total.recall.items(), key=lambda item: (-item[1].lines, item[0]))
    return [_row(slug, row, RECALL) for slug, row in (*ordered, ("ALL illegal", total.illegal))]


def _alarm_rows(total: Count) -> list[Row]:
    ordered = sorted(total.alarms.items(), key=lambda item: (-item[1].lines, item[0]))
    sums = [(f"ALL {verdict}", row) for verdict, row in sorted(total.others.items())]
    return [_row(name, row, ALARMS) for name, row in (*((": ".join(key), row) for key, row in ordered), *sums)]


def _row(name: str, row: Recall | Alarms, columns: Iterable[str]) -> Row:
    return (name, *(getattr(row, column) for column in columns))


def _shares(name: str, row: Recall | Alarms, columns: Iterable[str]) -> str:
    shares = (f"{column} {getattr(row, column) / max(row.lines, 1):.3f}" for column in columns)
    return f"{name}, share of {row.lines} lines: {', '.join(shares)}"


def shown(disagreement: Disagreement, style: Style) -> Iterator[str]:
    """A disagreement: what the label says, what the result says, and each finding step by step."""
    label, result = disagreement.label, disagreement.result
    where = f" ({label.where})" if label.where else ""
    said = _says(disagreement.verdict, result.mechanisms if result else ())
    lines = [
        (0, str(label.key)),
        (1, f"label {_says(label.verdict, label.mechanisms)}{where}: {label.why}"),
        (1, f"result {said}"),
    ]
    for finding in result.findings if result else ():
        lines.append((2, _finding(finding)))
        lines += [(3, f"{step['location']}: {step['message']}") for step in finding.get("steps", ())]
    lines += [(2, f"gap {gap['check']}: {gap['reason']}") for gap in (result.gaps if result else ())]
    return (f"{style.item(depth)}{style.safe(text)}" for depth, text in lines)


def _finding(finding: Mapping[str, Any]) -> str:
    severity, rule, confidence = finding["severity"], finding["rule"], finding["confidence"]
    return f"{severity}[{rule}] {finding['location']}: {finding['message']} ({confidence})"


def _says(verdict: str, mechanisms: Iterable[str]) -> str:
    return " ".join((verdict, *mechanisms))


if __name__ == "__main__":
    sys.exit(main())
