"""A JSON report back to a ``Report``, trusting nothing in it.

The report may come out of a job that the author of the pull request controls. So it has to fit the schema, its verdicts have to
follow from its findings, and titles, conditions and rulings are those of the installed rulebook, never of the file. What
remains, a finding that was left out or made up, no reader can see: audit again where the report's origin cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pgaudit.errors import ReportError
from pgaudit.evidence.measures import Measure
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.fingerprint import numbered
from pgaudit.fix.repair import Replacement
from pgaudit.output import json
from pgaudit.output.json import SHOWN
from pgaudit.report import FolderReport, Outcome, Report, SetAside
from pgaudit.rulebook import Rulebook
from pgaudit.submission import Origin
from pgaudit.verdict import Level, Verdict, decide
from pgaudit.waivers import Waiver


def read(path: Path, book: Rulebook) -> Report:
    """The report in a file. Raises ``ReportError``."""
    return report_of(json.read(path), book, str(path))


def report_of(document: object, book: Rulebook, where: str) -> Report:
    """The report that a document is. Raises ``ReportError`` for one that is not by the schema or contradicts itself."""
    given = json.checked(document, where)
    tool, target = given["tool"], given["target"]
    if tool["rulebook"] != book.digest:
        raise ReportError(
            f"{where}: made by rulebook {tool['rulebook'][:SHOWN]}, this one is {book.digest}",
            hint="scan and post with the same pgaudit",
        )
    origin = Origin(target["source"], target["pr"], target["head"], _date(target["date"]), target["repository"])
    submissions = tuple(_folder(each, where) for each in given["submissions"])
    return Report(
        version=tool["version"],
        rulebook=tool["rulebook"],
        edition=tool["edition"],
        origin=origin,
        submissions=submissions,
        rules={entry.rule.id: entry.rule for entry in book},
        outside=tuple(given["outside"]),
        deleted=tuple(given["deleted"]),
    )


def _folder(given: Mapping[str, Any], where: str) -> FolderReport:
    stated = [*given["findings"], *(each["finding"] for each in given["waived"])]
    found = numbered(_finding(each) for each in stated)
    for finding, each in zip(found, stated, strict=True):
        if finding.fingerprint != each["fingerprint"]:
            raise ReportError(
                f"{where}: {finding.rule} at {str(finding.location)[:SHOWN]}: the fingerprint is not that of the finding"
            )
    findings, waived = tuple(found[: len(given["findings"])]), found[len(given["findings"]) :]
    gaps = tuple(Gap(each["check"], each["reason"], _place(each["location"])) for each in given["gaps"])
    verdict = decide(findings, gaps)
    if verdict != given["verdict"]:
        raise ReportError(
            f"{where}: {given['folder'][:SHOWN]}: the verdict is {given['verdict']}, its findings and gaps lead to {verdict}"
        )
    return FolderReport(
        pr=given["pr"],
        folder=given["folder"],
        verdict=Verdict(verdict),
        mechanisms=tuple(given["mechanisms"]),
        level=Level(given["level"]),
        findings=findings,
        gaps=gaps,
        waived=tuple(
            SetAside(each, _waiver(said["waiver"])) for each, said in zip(waived, given["waived"], strict=True)
        ),
        outcomes={rule: Outcome(outcome) for rule, outcome in given["outcomes"].items()},
        track=given["track"],
        head=given["head"],
        score=_place(given["score"]),
        measures=tuple(_measure(each) for each in given["measures"]),
        replacements=tuple(_replacement(each) for each in given["replacements"]),
    )


def _finding(given: Mapping[str, Any]) -> Finding:
    return Finding(
        rule=given["rule"],
        mechanism=given["mechanism"],
        leads_to=given["leads_to"],
        severity=Severity(given["severity"]),
        confidence=Confidence(given["confidence"]),
        message=given["message"],
        location=_location(given["location"]),
        steps=tuple(Step(_location(step["location"]), step["message"]) for step in given["steps"]),
        facts=given["facts"],
        dormant=given["dormant"],
        known=given["known"],
    )


def _location(given: Mapping[str, Any]) -> Location:
    return Location(given["path"], given["line"], given["layer"], given["text"])


def _place(given: Mapping[str, Any] | None) -> Location | None:
    return _location(given) if given else None


def _measure(given: Mapping[str, Any]) -> Measure:
    return Measure(given["limit"], float(given["value"]), _location(given["location"]))


def _replacement(given: Mapping[str, Any]) -> Replacement:
    return Replacement(given["path"], given["first"], given["last"], tuple(given["lines"]), tuple(given["because"]))


def _waiver(given: Mapping[str, Any]) -> Waiver:
    return Waiver(**{**given, "expires": _date(given["expires"])})


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
