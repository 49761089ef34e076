"""What was measured, as part of a report of the usual kind: a violation is a finding, what was not judged is a gap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity
from pgaudit.probe.probe import Probed
from pgaudit.probe.record import Condition, Measurement, Outcome
from pgaudit.report import FolderReport, strength
from pgaudit.rule import Rule
from pgaudit.verdict import Level, decide

NAMES = {
    Condition.CAUSAL: ("causal", ("C1",), "noncausal-model"),
    Condition.NORMALISED: ("normalised", ("C2",), "unnormalised-mix"),
    Condition.SCORED_FIRST: ("scored-first", ("C3", "C4"), "ttt-train-before-score"),
    Condition.BYTES: ("bytes", (), "byte-accounting"),
}
"""The last part of the check's name, the conditions of the challenge, and the mechanism where reading has found none."""


def with_probe(folder: FolderReport, probed: Probed, evidence: Evidence, rules: Mapping[str, Rule]) -> FolderReport:
    """The audit of a folder together with its probe.

    A violation decides. What reading only suspects of conditions that hold becomes a note; what it proves stays.
    """
    held = {name for each in probed.measurements if each.outcome is Outcome.HOLDS for name in NAMES[each.condition][1]}
    kept = [_overruled(finding, held, rules) for finding in folder.findings]
    found = [
        _finding(each, folder, evidence, rules) for each in probed.measurements if each.outcome is Outcome.VIOLATED
    ]
    findings = tuple(sorted((*kept, *found), key=strength))
    gaps = (*folder.gaps, *_gaps(probed.measurements))
    return replace(
        folder,
        verdict=decide(findings, folder.gaps if probed.judged else gaps),
        mechanisms=tuple(sorted({finding.mechanism for finding in findings if finding.decides})),
        level=Level.PROBED if probed.judged else folder.level,
        findings=findings,
        gaps=gaps,
    )


def _overruled(finding: Finding, held: set[str], rules: Mapping[str, Rule]) -> Finding:
    rule = rules.get(finding.rule)
    suspected = not finding.decides and not finding.dormant and finding.severity is not Severity.NOTE
    if rule is None or not suspected or not rule.conditions or not set(rule.conditions) <= held:
        return finding
    facts = {**finding.facts, "overruled": f"{' and '.join(rule.conditions)} held when it was measured"}
    return replace(finding, severity=Severity.NOTE, facts=facts)


def _finding(measured: Measurement, folder: FolderReport, evidence: Evidence, rules: Mapping[str, Rule]) -> Finding:
    name, conditions, usual = NAMES[measured.condition]
    return Finding(
        f"probe/{name}",
        _mechanism(folder, conditions, rules) or usual,
        "illegal",
        Severity.ERROR,
        Confidence.HIGH,
        f"measured: {measured.sentence}",
        _place(measured, evidence),
        facts=dict(measured.numbers),
    )


def _mechanism(folder: FolderReport, conditions: tuple[str, ...], rules: Mapping[str, Rule]) -> str:
    """What reading calls the violation, if it has seen one of the same condition."""
    for finding in folder.findings:
        rule = rules.get(finding.rule)
        if rule and set(rule.conditions) & set(conditions) and finding.severity is not Severity.NOTE:
            return finding.mechanism
    return ""


def _place(measured: Measurement, evidence: Evidence) -> Location:
    """The line that sums the scores; the probe runs the unpacked text under one name."""
    main = evidence.main
    if main is None or measured.site is None:
        return Location(evidence.main_path or "submission.json")
    return main.body.at(measured.site.line)


def _gaps(measured: Iterable[Measurement]) -> tuple[Gap, ...]:
    open_ = {Outcome.COULD_NOT_RUN, Outcome.NOT_EXERCISED}
    return tuple(
        Gap(f"probe/{NAMES[each.condition][0]}", f"{each.outcome}: {each.sentence}")
        for each in measured
        if each.outcome in open_
    )
