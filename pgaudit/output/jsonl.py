"""One line of JSON per record folder: the table that a sweep writes."""

from __future__ import annotations

import json

from pgaudit.output.json import key_facts
from pgaudit.report import FolderReport


def line(folder: FolderReport) -> str:
    """The folder as one line; findings and gaps are cut to what a table needs (``scan`` has the rest)."""
    findings = [
        {
            "rule": finding.rule,
            "severity": finding.severity.value,
            "confidence": finding.confidence.value,
            "location": str(finding.location),
            "message": finding.message,
            "steps": [{"location": str(step.location), "message": step.message} for step in finding.steps],
        }
        for finding in folder.findings
    ]
    gaps = [{"check": gap.check, "reason": gap.reason} for gap in folder.gaps]
    return json.dumps(key_facts(folder) | {"head": folder.head, "findings": findings, "gaps": gaps}) + "\n"
