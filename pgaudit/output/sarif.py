"""The report as SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), within what GitHub code scanning takes.

Waived findings are left out: code scanning knows no suppressions and would open an alert for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from pgaudit import HOMEPAGE
from pgaudit.finding import Finding, Gap, Location
from pgaudit.fingerprint import fingerprint_in
from pgaudit.output.escape import message as escaped
from pgaudit.output.escape import plain
from pgaudit.output.place import in_repository, located
from pgaudit.output.wording import citation, rule_address, sentence
from pgaudit.report import FolderReport, Report, strength
from pgaudit.rule import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT_ID = "%SRCROOT%"

# https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
MOST_RESULTS = 5_000
"""GitHub refuses 25,000 and shows 5,000, the most severe first."""
MOST_STEPS = 1_000
"""Locations in a thread flow that GitHub shows."""
MOST_BYTES = 9_000_000
"""Of all results as JSON: with the rules this is below the 10 MB that a compressed file may have, whatever is in it."""
MOST_MESSAGE = 1_024
"""Characters of a description; GitHub gives no limit for messages and cuts what it shows."""
MOST_NOTIFICATIONS = 1_000


def render(report: Report) -> str:
    """One run. ASCII only; the same report gives the same bytes."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}, indent=1, allow_nan=False) + "\n"


def _run(report: Report) -> dict[str, Any]:
    results, left_out = _results(report)
    notifications = list(_notifications(report, left_out))[:MOST_NOTIFICATIONS]
    return {
        "tool": {
            "driver": {
                "name": "pgaudit",
                "semanticVersion": report.version,
                "informationUri": HOMEPAGE,
                "rules": [_rule(rule) for _, rule in sorted(report.rules.items())],
                "properties": {"rulebook": report.rulebook, "edition": report.edition},
            }
        },
        "automationDetails": {"id": "pgaudit/"},
        "originalUriBaseIds": {ROOT_ID: {"description": {"text": "The root of the repository that was audited."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}],
        "results": results,
        "properties": {
            "verdicts": [{"folder": plain(f.folder), "verdict": f.verdict.value} for f in report.submissions]
        },
    }


def _rule(rule: Rule) -> dict[str, Any]:
    """The rule's page is its help, without the title that stands above it."""
    page = rule.page.partition("\n")[2].strip()
    rulings = "\n".join(f"- {citation(ruling)}" for ruling in rule.rulings)
    text = f"{page}\n\n## Rulings\n\n{rulings}\n" if rulings else f"{page}\n"
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.replace("/", "-").split("-")),
        "shortDescription": {"text": _cut(f"{rule.title}.")},
        "fullDescription": {"text": _cut(f"{rule.title}. {_first_section(page)}".strip())},
        "help": {"text": text, "markdown": text},
        "helpUri": rule_address(rule.id),
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": [rule.leads_to, rule.mechanism, *rule.conditions]},
    }


def _first_section(page: str) -> str:
    return " ".join(line for line in page.partition("\n## ")[0].splitlines() if not line.startswith("#")).strip()


def _results(report: Report) -> tuple[list[dict[str, Any]], int]:
    """As many results as fit, strongest first, and how many did not."""
    indices = {rule_id: index for index, rule_id in enumerate(sorted(report.rules))}
    found = [(folder, finding) for folder in report.submissions for finding in folder.findings]
    room, kept = MOST_BYTES, list[dict[str, Any]]()
    for folder, finding in sorted(found, key=lambda pair: strength(pair[1]))[:MOST_RESULTS]:
        result = _result(folder, finding, report.rules.get(finding.rule))
        if finding.rule in indices:
            result["ruleIndex"] = indices[finding.rule]
        room -= len(json.dumps(result, indent=1))
        if room < 0:
            break
        kept.append(result)
    return kept, len(found) - len(kept)


def _result(folder: FolderReport, finding: Finding, rule: Rule | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.severity.value,
        "message": {"text": _message(sentence(finding, rule), finding.location)},
        "locations": [_location(folder.folder, finding.location)],
        "partialFingerprints": {
            "primaryLocationLineHash": f"{fingerprint_in(folder.folder, finding)}:1",
            "findingInFolder/v1": finding.fingerprint,
        },
        "properties": {
            "confidence": finding.confidence.value,
            "leads_to": finding.leads_to,
            "folder": plain(folder.folder),
        },
    }
    if finding.steps:
        steps = finding.steps[:MOST_STEPS]
        flow = [{"location": _location(folder.folder, step.location, step.message)} for step in steps]
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    if finding.known is not None:
        result["baselineState"] = "unchanged" if finding.known else "new"
    return result


def _location(folder: str, place: Location, text: str = "") -> dict[str, Any]:
    """A place in the file as shipped; GitHub needs a line, so a whole file is its first one."""
    region: dict[str, Any] = {"startLine": place.shipped_line or 1}
    if place.text and not place.layer and place.line:
        region["snippet"] = {"text": plain(place.text)}
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(plain(in_repository(folder, place))), "uriBaseId": ROOT_ID},
            "region": region,
        }
    }
    if text:
        location["message"] = {"text": _message(text, place)}
    return location


def _message(text: str, place: Location) -> str:
    return _cut(escaped(located(text, place)))


def _notifications(report: Report, left_out: int) -> Iterator[dict[str, Any]]:
    if left_out:
        yield _notification(
            f"{left_out} findings are left out: code scanning takes no more. The other formats have them."
        )
    for folder in report.submissions:
        for gap in folder.gaps:
            yield _gap(folder, gap)


def _gap(folder: FolderReport, gap: Gap) -> dict[str, Any]:
    text = f"{folder.folder}: not checked: {gap.check}: {gap.reason}"
    places: Iterable[Location] = [gap.location] if gap.location else []
    return _notification(text) | {"locations": [_location(folder.folder, place) for place in places]}


def _notification(text: str) -> dict[str, Any]:
    return {"level": "warning", "message": {"text": _cut(escaped(text))}}


def _cut(text: str) -> str:
    return text if len(text) <= MOST_MESSAGE else f"{text[: MOST_MESSAGE - 1]}…"
