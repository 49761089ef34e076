"""Reports to post: small, of one record folder, as pull request 7."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pgaudit import rulebook
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.fingerprint import numbered
from pgaudit.fix.repair import Replacement
from pgaudit.output.json import render
from pgaudit.report import FailOn, FolderReport, Outcome, Report
from pgaudit.review.compose import Review, Style, compose
from pgaudit.review.places import Diff
from pgaudit.submission import Origin
from pgaudit.verdict import Level, decide
from tests.support import FOLDER

HEAD = "a" * 40
BOOK = rulebook.load()
STYLE = Style(20, FailOn.ERROR, "https://github.com/openai/parameter-golf")
SCRIPT = f"{FOLDER}/train_gpt.py"


def finding(
    line: int | None = 3, rule: str = "ngram/target-in-key", path: str = "train_gpt.py", **other: object
) -> Finding:
    """A finding whose line says where it is, so that its identity stays when it moves."""
    place = Location(path, line, text=str(other.pop("text", f"key = line_{line}")))
    steps = (Step(Location(path, 1, text="import torch"), "the script begins"), Step(place, "the token is in the key"))
    made = Finding(
        rule,
        rule.partition("/")[2],
        "illegal" if rule.startswith("ngram") else "defect",
        Severity.ERROR,
        Confidence.HIGH,
        "the lookup key holds the token that is being scored",
        place,
        steps,
    )
    return replace(made, **other)  # type: ignore[arg-type]


def report(
    *findings: Finding,
    gaps: Sequence[Gap] = (),
    head: str = HEAD,
    folder: str = FOLDER,
    replacements: Sequence[Replacement] = (),
) -> Report:
    """The audit of pull request 7 with these findings."""
    findings = tuple(numbered(findings))
    outcomes = {entry.rule.id: Outcome.CLEAN for entry in BOOK}
    outcomes |= {gap.check: Outcome.NOT_DECIDED for gap in gaps if gap.check in outcomes}
    outcomes |= {each.rule: Outcome.FIRED for each in findings}
    made = FolderReport(
        pr=7,
        folder=folder,
        verdict=decide(findings, gaps),
        mechanisms=tuple(sorted({each.mechanism for each in findings if each.decides})),
        level=Level.CONSISTENT,
        findings=findings,
        gaps=tuple(gaps),
        outcomes=outcomes,
        track="record",
        head=head,
        score=Location("train_gpt.py", 9, text="print(val_bpb)"),
        replacements=tuple(replacements),
    )
    origin = Origin("openai/parameter-golf#7", 7, head, None, "openai/parameter-golf")
    return Report("0.1.0", BOOK.digest, "2026-04-28", origin, (made,), {e.rule.id: e.rule for e in BOOK})


def composer(made: Report, style: Style = STYLE) -> Callable[[Diff, frozenset[str]], Review]:
    """What ``posting`` asks for the review."""
    return lambda diff, refused: compose(made, BOOK, diff, style, refused)


def write(made: Report, path: Path) -> Path:
    """The report as a file."""
    path.write_text(render(made))
    return path


def document(made: Report) -> dict[str, object]:
    """The report as JSON values."""
    loaded: dict[str, object] = json.loads(render(made))
    return loaded
