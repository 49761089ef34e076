"""A JSON report back to a ``Report``, trusting nothing in it.

The report may come out of a job that the author of the pull request controls. So it has to fit the schema, its verdicts have to
follow from its findings, and titles, conditions and rulings are those of the installed rulebook, never of the file. What
remains, a finding that was left out or made up, no reader can see: audit again where the report's origin cannot be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from pgaudit import output
from pgaudit.errors import ReportError
from pgaudit.evidence.measures import Measure
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.fix.repair import Replacement
from pgaudit.report import FolderReport, Outcome, Report, SetAside
from pgaudit.rulebook import Rulebook
from pgaudit.submission import Origin
from pgaudit.verdict import Level, Verdict, decide
from pgaudit.waivers import Waiver

MOST_BYTES = 32 * 1024 * 1024
"""A larger file is no report: those of real pull requests stay below 1 MB."""
SHOWN = 200
"""Characters of what is wrong with a report."""


def read(path: Path, book: Rulebook) -> Report:
    """The report in a file. Raises ``ReportError``."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ReportError(f"{path}: larger than {MOST_BYTES:,} bytes; this is no report of pgaudit")
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(
            f"{path}: not JSON: {str(error)[:SHOWN]}", hint="pgaudit scan … --format json --output FILE writes one"
        ) from error
    return report_of(document, book, str(path))


def report_of(document: object, book: Rulebook, where: str) -> Report:
    """The report that a document is. Raises ``ReportError`` for one that is not by the schema or contradicts itself."""
    checked = _checked(document, where)
    tool, target = checked["tool"], checked["target"]
    if tool["rulebook"] != book.digest:
        raise ReportError(
            f"{where}: made by rulebook {tool['rulebook'][:SHOWN]}, this one is {book.digest}",
            hint="scan and post with the same pgaudit",
        )
    origin = Origin(target["source"], target["pr"], target["head"], _date(target["date"]), target.get("repository"))
    submissions = tuple(_folder(each, where) for each in checked["submissions"])
    return Report(
        version=tool["version"],
        rulebook=tool["rulebook"],
        edition=tool["edition"],
        origin=origin,
        submissions=submissions,
        rules={entry.rule.id: entry.rule for entry in book},
        outside=tuple(checked["outside"]),
        deleted=tuple(checked["deleted"]),
    )


def _checked(document: object, where: str) -> dict[str, Any]:
    from jsonschema_rs import Draft202012Validator

    schema = json.loads(resources.files(output).joinpath("report.schema.json").read_text("utf-8"))
    # A checked format makes a date that is none an error here and not a crash below.
    validator = Draft202012Validator(schema, validate_formats=True)
    for error in validator.iter_errors(document):
        place = "/".join(map(str, error.instance_path)) or "the whole document"
        raise ReportError(f"{where}: not a report of pgaudit: {place[:SHOWN]}: {error.message[:SHOWN]}")
    assert isinstance(document, dict)
    return document


def _folder(given: Mapping[str, Any], where: str) -> FolderReport:
    findings = tuple(_finding(each) for each in given["findings"])
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
        waived=tuple(_set_aside(each) for each in given["waived"]),
        outcomes={rule: Outcome(outcome) for rule, outcome in given["outcomes"].items()},
        track=given["track"],
        head=given["head"],
        score=_place(given.get("score")),
        measures=tuple(_measure(each) for each in given.get("measures", ())),
        replacements=tuple(_replacement(each) for each in given.get("replacements", ())),
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
    )


def _location(given: Mapping[str, Any]) -> Location:
    return Location(given["path"], given["line"], given["layer"], given["text"])


def _place(given: Mapping[str, Any] | None) -> Location | None:
    return _location(given) if given else None


def _measure(given: Mapping[str, Any]) -> Measure:
    return Measure(given["limit"], float(given["value"]), _location(given["location"]))


def _replacement(given: Mapping[str, Any]) -> Replacement:
    return Replacement(given["path"], given["first"], given["last"], tuple(given["lines"]), tuple(given["because"]))


def _set_aside(given: Mapping[str, Any]) -> SetAside:
    waiver = dict(given["waiver"])
    waiver["expires"] = _date(waiver["expires"])
    return SetAside(_finding(given["finding"]), Waiver(**waiver))


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
