"""The baseline: an earlier JSON report. What it holds already is marked as known and does not fail a run.

A finding is known by its record folder and fingerprint, and only where it was at least as bad then: what was a warning and
is an error now is new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from pgaudit.errors import BaselineError
from pgaudit.finding import Finding, Severity
from pgaudit.report import FolderReport, Report

MAX_BYTES = 256 * 1024 * 1024
"""A report of 25,000 findings with full traces is a tenth of this."""
HINT = "a baseline is what `pgaudit scan --format json` of this version wrote"


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
    """Read a report. Raises ``BaselineError`` naming the file and, where it is no report, the place."""
    from jsonschema_rs import ValidationError, validator_for

    from pgaudit import output

    schema = json.loads(resources.files(output).joinpath("report.schema.json").read_text("utf-8"))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BaselineError(f"{path}: larger than any report", hint=HINT)
        document: dict[str, Any] = json.loads(path.read_bytes())
        validator_for(schema).validate(document)
    except OSError as error:
        raise BaselineError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            place = "/".join(map(str, error.instance_path)) or "top level"
            raise BaselineError(f"{path}: not a report: {place}: {error.message[:200]}", hint=HINT) from error
        raise BaselineError(f"{path}: not JSON", hint=HINT) from error
    return Baseline(
        {
            (folder["folder"], finding["fingerprint"]): (_rank(Severity(finding["severity"])), finding["decides"])
            for folder in document["submissions"]
            for finding in folder["findings"]
        }
    )


def _rank(severity: Severity) -> int:
    """0 for the worst."""
    return list(Severity).index(severity)
