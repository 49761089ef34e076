"""The report for reviewdog: one diagnostic per line (https://github.com/reviewdog/reviewdog/tree/master/proto/rdf)."""

from __future__ import annotations

import json
from typing import Any

from pgaudit import HOMEPAGE
from pgaudit.finding import Finding, Severity
from pgaudit.output import escape
from pgaudit.output.markdown import finding_lines
from pgaudit.output.place import in_repository
from pgaudit.output.wording import rule_address
from pgaudit.report import Report

SEVERITIES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.NOTE: "INFO"}
SOURCE = {"name": "pgaudit", "url": HOMEPAGE}


def render(report: Report) -> str:
    """One line per finding that the baseline does not have: reviewdog would post the others again."""
    return "".join(
        json.dumps(_diagnostic(report, folder.folder, finding)) + "\n"
        for folder in report.submissions
        for finding in folder.findings
        if not finding.known
    )


def _diagnostic(report: Report, folder: str, finding: Finding) -> dict[str, Any]:
    """The message is Markdown, because reviewdog puts it into comments as it is."""
    location: dict[str, Any] = {"path": escape.plain(in_repository(folder, finding.location))}
    if line := finding.location.shipped_line:
        location["range"] = {"start": {"line": line}}
    return {
        "message": "\n".join(finding_lines(report, finding, explain=False)).strip(),
        "location": location,
        "severity": SEVERITIES[finding.severity],
        "source": SOURCE,
        "code": {"value": finding.rule, "url": rule_address(finding.rule)},
    }
