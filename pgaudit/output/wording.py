"""Sentences and numbers that every report for people shares."""

from __future__ import annotations

from pgaudit import HOMEPAGE
from pgaudit.finding import Finding, Severity
from pgaudit.report import Report
from pgaudit.rule import Rule, Ruling

BRIEF_STEPS = 4
"""Steps of a trace that are shown without ``--explain``."""


def citation(ruling: Ruling) -> str:
    """One ruling in one sentence: how strong, who, when, where, what."""
    source = ", ".join(filter(None, (ruling.strength.value, ruling.by, ruling.date, ruling.where)))
    return f"{ruling.says} ({source})"


def consequence(finding: Finding, rule: Rule | None) -> str:
    """What the finding does to the verdict, and which conditions of a valid score it breaks."""
    if finding.severity is Severity.NOTE and not finding.dormant:
        return "a fact; leads to no verdict"
    if finding.dormant:
        return f"leads to review: dormant under {finding.dormant}"
    breaks = f", breaks {' and '.join(rule.conditions)}" if rule and rule.conditions else ""
    return f"leads to {finding.leads_to if finding.decides else 'review'}{breaks}"


def summary(report: Report) -> str:
    """How many findings of each severity count, and what was set aside or left unchecked."""
    findings = list(report.findings)
    counts = [(sum(f.severity is severity for f in findings), severity.value) for severity in Severity]
    counts.append((sum(finding.known is True for finding in findings), "known finding"))
    counts.append((sum(len(folder.waived) for folder in report.submissions), "waived finding"))
    counts.append((sum(len(folder.gaps) for folder in report.submissions), "gap"))
    parts = [f"{count} {name}{'s' if count != 1 else ''}" for count, name in counts if count]
    return ", ".join(parts) or "every applicable check ran and found nothing"


def made_by(report: Report) -> str:
    """What judged."""
    return f"pgaudit {report.version}, rulebook {report.rulebook}, policy edition {report.edition}"


def rule_address(rule_id: str) -> str:
    """The web page of a rule: its file, which begins with its page."""
    return f"{HOMEPAGE}/blob/main/rules/{rule_id.replace('-', '_')}.py"


def sentence(finding: Finding, rule: Rule | None) -> str:
    """What was found and what it leads to, in one line of plain text."""
    known = "known from the baseline; " if finding.known else ""
    return f"{finding.message} ({known}{consequence(finding, rule)}; confidence {finding.confidence.value})"
