"""The report: what an audit says of each record folder, as plain values that every output renders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pgaudit.errors import ExitCode
from pgaudit.evidence.measures import Measure
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity
from pgaudit.fix.repair import Replacement
from pgaudit.rule import Rule
from pgaudit.submission import Origin
from pgaudit.verdict import Level, Verdict
from pgaudit.waivers import Waiver


class Outcome(StrEnum):
    """What became of one rule on one submission."""

    FIRED = "fired"
    CLEAN = "clean"
    NOT_DECIDED = "not-decided"
    CRASHED = "crashed"


class FailOn(StrEnum):
    """The weakest finding that makes the exit status 10."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


@dataclass(frozen=True)
class SetAside:
    """A finding that does not count, and the waiver that says so."""

    finding: Finding
    waiver: Waiver


@dataclass(frozen=True)
class FolderReport:
    """The verdict on one record folder with everything behind it."""

    pr: int | None
    folder: str
    verdict: Verdict
    mechanisms: tuple[str, ...]
    """Slugs of the findings that decide the verdict, sorted."""
    level: Level
    findings: tuple[Finding, ...]
    """Strongest first, then by rule and place."""
    gaps: tuple[Gap, ...] = ()
    waived: tuple[SetAside, ...] = ()
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By rule id."""
    track: str | None = None
    head: str | None = None
    score: Location | None = None
    """The print of the score that was followed through the code; ``None`` where none was reached."""
    measures: tuple[Measure, ...] = ()
    """What was read for the limits of the challenge."""
    replacements: tuple[Replacement, ...] = ()
    """What `pgaudit fix` would write."""


@dataclass(frozen=True)
class Report:
    """One audit: who judged by what, and the record folders of the target."""

    version: str
    rulebook: str
    """Digest of the rulebook."""
    edition: str
    """Name of the policy edition that was applied."""
    origin: Origin
    submissions: tuple[FolderReport, ...]
    rules: Mapping[str, Rule]
    """Declarations of the rules that some finding names."""
    outside: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    unused_waivers: tuple[Waiver, ...] = ()
    expired_waivers: tuple[Waiver, ...] = ()

    @property
    def findings(self) -> Iterator[Finding]:
        """The findings that count, of all folders."""
        return (finding for folder in self.submissions for finding in folder.findings)

    def exit_code(self, fail_on: FailOn) -> ExitCode:
        """The exit status: findings before incomplete, incomplete before clean."""
        if not self.submissions:
            return ExitCode.NOTHING_TO_AUDIT
        if any(reaches(finding, fail_on) for finding in self.findings):
            return ExitCode.FINDINGS
        return ExitCode.INCOMPLETE if any(folder.gaps for folder in self.submissions) else ExitCode.CLEAN


def reaches(finding: Finding, fail_on: FailOn) -> bool:
    """Whether the finding is at or above ``fail_on`` and not known from the baseline. What asks for a person counts as a warning, whatever its severity:
    an error of low confidence, and a note on code that only the submitter's word switches off.
    """
    if fail_on is FailOn.NEVER or finding.known:
        return False
    weakest = [FailOn.ERROR, FailOn.WARNING, FailOn.NOTE].index(fail_on)
    if finding.decides:
        return True
    fact = finding.severity is Severity.NOTE and not finding.dormant
    return weakest >= (2 if fact else 1)


def strength(finding: Finding) -> tuple[int, int, bool, str, str, int, str]:
    """Sort key of findings: the most severe and surest first, illegal before defect, then by rule and place."""
    return (
        list(Severity).index(finding.severity),
        list(Confidence).index(finding.confidence),
        finding.leads_to != Verdict.ILLEGAL,
        finding.rule,
        finding.location.path,
        finding.location.line or 0,
        finding.message,
    )
