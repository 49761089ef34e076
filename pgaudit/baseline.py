"""The baseline: an earlier JSON report. What it holds already is marked as known and does not fail a run.

A finding is known by its record folder and fingerprint, and only where it was at least as bad then: what was a warning and
is an error now is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pgaudit.finding import Finding, Severity
from pgaudit.output import json
from pgaudit.report import FolderReport, Report


@dataclass(frozen=True)
class Baseline:
    """How bad each finding of an earlier report was, by record folder and fingerprint."""

    findings: Mapping[tuple[str, str], tuple[int, bool]]

    def mark(self, report: Report) -> Report:
        """The same report, each finding with whether the baseline has it."""
        return replace(report, submissions=tuple(self._mark_folder(folder) for folder in report.submissions))

    def _mark_folder(self, folder: FolderReport) -> FolderReport:
        marked = (replace(finding, known=self._has(folder.folder, finding)) for finding in folder.findings)
        return replace(folder, findings=tuple(marked))

    def _has(self, folder: str, finding: Finding) -> bool:
        then = self.findings.get((folder, finding.fingerprint))
        if then is None:
            return False
        severity, decided = then
        return severity <= _rank(finding.severity) and decided >= finding.decides


def load(path: Path) -> Baseline:
    """The findings of a JSON report. Raises ``ReportError``."""
    return Baseline(
        {
            (folder["folder"], finding["fingerprint"]): (_rank(Severity(finding["severity"])), finding["decides"])
            for folder in json.checked(json.read(path), str(path))["submissions"]
            for finding in folder["findings"]
        }
    )


def _rank(severity: Severity) -> int:
    """0 for the worst."""
    return list(Severity).index(severity)
