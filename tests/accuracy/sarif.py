"""SARIF of real pull requests: valid, within GitHub's limits, and of stable fingerprints.

python -m tests.accuracy.sarif --repo CLONE --prs @OPEN --sample 100 --schema FILE
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jsonschema_rs import Validator, validator_for

from pgaudit.audit import audit
from pgaudit.cli.sweep import select
from pgaudit.errors import PgauditError
from pgaudit.finding import Finding
from pgaudit.output import ReportFormat, render
from pgaudit.report import FolderReport, Report
from pgaudit.submission import Collected, Submission, UnreadableFile
from tests.accuracy.folders import Auditor, opened, with_text
from tests.accuracy.lines import KEPT_BACK

SHIFT = 50
"""Lines put before each script."""
MOST_MENDED = 3
"""Findings of a folder that are mended, one at a time."""
LIMITS = {"results": 5_000, "steps": 1_000, "tags": 20, "description": 1_024, "message": 1_024, "gzip": 10_000_000}
"""What GitHub takes or shows, by what is counted; bytes for ``gzip``."""


@dataclass
class Tally:
    """What was seen over all pull requests."""

    counts: Counter[str] = field(default_factory=Counter)
    most: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The table, and every fault."""
        yield from (f"{what}: {number}" for what, number in self.counts.items())
        yield from (f"largest {what}: {number} of {LIMITS[what]}" for what, number in self.most.items())
        yield from (f"FAULT {fault}" for fault in self.faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tally; returns 1 where something is invalid, too large or unstable."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.sarif", description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--prs", required=True, help="numbers and ranges, or @FILE")
    parser.add_argument("--sample", type=int, default=100, help="how many of them, drawn by random.Random(8)")
    parser.add_argument("--schema", type=Path, required=True, help="sarif-2.1.0.json of the npm packages in .ci")
    options = parser.parse_args(arguments)
    validator = validator_for(json.loads(options.schema.read_text("utf-8")))
    auditor, tally = Auditor.load(), Tally()
    with opened(options.repo) as clone:
        numbers = [n for n in select(options.prs, clone.pull_numbers()) if n % KEPT_BACK]
        for number in sorted(random.Random(8).sample(numbers, min(options.sample, len(numbers)))):
            try:
                measure(clone.pull_request(number), auditor, validator, tally)
            except PgauditError as error:
                tally.counts["pull requests without a submission"] += 1
                print(f"#{number}: {error}", file=sys.stderr)
            gc.collect()
    print("\n".join(tally.lines()))
    return 1 if tally.faults else 0


def measure(collected: Collected, auditor: Auditor, validator: Validator, tally: Tally) -> None:
    """Audit one pull request as it is, with its scripts moved down, and with one finding after the other removed."""
    report = audited(collected, auditor)
    tally.counts["pull requests"] += 1
    tally.faults += (f"{collected.origin.source}: {fault}" for fault in faults(report, validator, tally.most))
    for submission, folder in zip(collected.submissions, report.submissions, strict=True):
        tally.counts["findings"] += len(folder.findings)
        name = f"{collected.origin.source} {folder.folder}"
        tally.faults += (f"{name}: {fault}" for fault in moved(submission, folder, auditor, tally.counts))
        tally.faults += (f"{name}: {fault}" for fault in mended(submission, folder, auditor, tally.counts))


def audited(collected: Collected, auditor: Auditor) -> Report:
    """The report by the limits of the head's own date."""
    return audit(collected, auditor.book, auditor.editions)


def faults(report: Report, validator: Validator, most: dict[str, int]) -> Iterator[str]:
    """What is wrong with the SARIF of a report; ``most`` keeps the largest size of each kind that was met."""
    text = render(report, ReportFormat.SARIF)
    document = json.loads(text)
    yield from (
        f"schema: {'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in validator.iter_errors(document)
    )
    for what, number in sizes(document, text):
        most[what] = max(most[what], number)
        if number > LIMITS[what]:
            yield f"{number} {what}"
    (run,) = document["runs"]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    if len(prints) != len(set(prints)):
        yield "two results have one fingerprint"
    for location in _locations(run["results"]):
        place = location["physicalLocation"]
        if place["region"]["startLine"] < 1 or place["artifactLocation"]["uri"].startswith("/"):
            yield f"place {place}"


def sizes(document: dict[str, Any], text: str) -> Iterator[tuple[str, int]]:
    """Each size that GitHub limits."""
    (run,) = document["runs"]
    yield "gzip", len(gzip.compress(text.encode()))
    yield "results", len(run["results"])
    for rule in run["tool"]["driver"]["rules"]:
        yield "tags", len(rule["properties"]["tags"])
        yield "description", max(len(rule[key]["text"]) for key in ("shortDescription", "fullDescription"))
    for result in run["results"]:
        yield "message", len(result["message"]["text"])
        yield "steps", max((len(flow["locations"]) for flow in _thread_flows(result)), default=0)


def moved(submission: Submission, folder: FolderReport, auditor: Auditor, counts: Counter[str]) -> Iterator[str]:
    """Fingerprints that findings in scripts lose when every script moves ``SHIFT`` lines down."""
    scripts = {finding.location.path for finding in folder.findings if finding.location.path.endswith(".py")}
    for path in sorted(scripts & submission.files.keys()):
        after = _edited(submission, path, _moved_down, auditor)
        if after is None:
            counts["scripts that could not be moved"] += 1
            continue
        counts["scripts moved"] += 1
        prints = {finding.fingerprint for finding in after.findings}
        for finding in folder.findings:
            if finding.location.path == path:
                counts["findings moved"] += 1
                if finding.fingerprint not in prints:
                    yield f"moved, and lost: {finding.rule} at {finding.location}: {finding.message}"


def mended(submission: Submission, folder: FolderReport, auditor: Auditor, counts: Counter[str]) -> Iterator[str]:
    """Findings that get another fingerprint when the line of another finding is taken out."""
    places = {(f.location.path, f.location.line or 0, f.fingerprint) for f in folder.findings if not f.location.layer}
    for path, line, mark in sorted(place for place in places if place[1])[:MOST_MENDED]:
        after = _edited(submission, path, partial(_without, line=line), auditor)
        if after is None or mark in {finding.fingerprint for finding in after.findings}:
            counts["lines whose removal mended nothing"] += 1
            continue
        counts["findings mended"] += 1
        before = {_says(finding) for finding in folder.findings if finding.fingerprint != mark}
        prints = {finding.fingerprint for finding in folder.findings}
        for finding in after.findings:
            if finding.fingerprint in prints:
                counts["other findings that kept their fingerprint"] += 1
            elif _says(finding) in before:
                yield f"mended {path}:{line}, and another fingerprint: {finding.rule} at {finding.location}: {finding.message}"
            else:
                counts["findings that the edit brought in"] += 1


def _says(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, finding.location.path, finding.location.text or finding.message


def _moved_down(text: str) -> str:
    return "#\n" * SHIFT + text


def _without(text: str, line: int) -> str:
    """The text with one line taken out; in Python a statement that does nothing stands in for it."""
    lines = text.split("\n")
    blanks = lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
    return "\n".join([*lines[: line - 1], f"{blanks}pass", *lines[line:]])


def _edited(submission: Submission, path: str, edit: Callable[[str], str], auditor: Auditor) -> FolderReport | None:
    """The report on the folder with one of its files edited; ``None`` where there is no such text."""
    try:
        text = submission.files[path].data.decode()
    except (KeyError, UnicodeDecodeError, UnreadableFile):
        return None
    return auditor(with_text(submission, path, edit(text)))


def _thread_flows(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (flow for code_flow in result.get("codeFlows", ()) for flow in code_flow["threadFlows"])


def _locations(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for result in results:
        yield from result["locations"]
        yield from (step["location"] for flow in _thread_flows(result) for step in flow["locations"])


if __name__ == "__main__":
    sys.exit(main())
