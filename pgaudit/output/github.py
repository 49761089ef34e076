"""The report as workflow commands: annotations on the files of a pull request in GitHub Actions.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgaudit.finding import Finding, Severity
from pgaudit.output import escape
from pgaudit.output.place import in_repository, located
from pgaudit.output.wording import sentence, summary
from pgaudit.report import Report, strength

MOST_PER_TYPE = 10
"""Annotations of one type that GitHub shows of one step."""

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(report: Report) -> str:
    """One command per line, strongest first, at most ``MOST_PER_TYPE`` of each type; what is left out is counted."""
    found = ((folder.folder, finding) for folder in report.submissions for finding in folder.findings)
    lines = list(_annotations(report, sorted(found, key=lambda pair: (bool(pair[1].known), strength(pair[1])))))
    return "\n".join([*lines, f"pgaudit: {summary(report)}", ""])


def _annotations(report: Report, found: list[tuple[str, Finding]]) -> Iterator[str]:
    made = Counter[str]()
    for folder, finding in found:
        name = "notice" if finding.known else COMMANDS[finding.severity]
        made[name] += 1
        if made[name] <= MOST_PER_TYPE:
            yield _command(name, folder, finding, report)
    for folder_report in report.submissions:
        for gap in folder_report.gaps:
            made["warning"] += 1
            if made["warning"] <= MOST_PER_TYPE:
                title = f"{folder_report.folder}: not checked: {gap.check}"
                yield f"::warning title={_property(title)}::{_value(gap.reason)}"
    for name, number in made.items():
        if number > MOST_PER_TYPE:
            yield f"pgaudit: {number - MOST_PER_TYPE} more of type {name} are in the other formats of this report"


def _command(name: str, folder: str, finding: Finding, report: Report) -> str:
    place = finding.location
    properties = {"file": in_repository(folder, place), "line": place.shipped_line, "title": finding.rule}
    text = located(sentence(finding, report.rules.get(finding.rule)), place)
    shown = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{name} {shown}::{_value(text)}"


def _value(text: str) -> str:
    return escape.plain(text).replace("%", "%25")


def _property(text: str) -> str:
    return _value(text).replace(":", "%3A").replace(",", "%2C")
