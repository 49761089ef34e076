"""The re-run as a report of the usual kind: its failed claims are findings, what was left open are gaps."""

from __future__ import annotations

from dataclasses import replace

import pgaudit
from pgaudit.audit import audit
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity
from pgaudit.policy import Edition, Policy
from pgaudit.report import FolderReport, Report
from pgaudit.reproduce.check import OPEN, Check, Status
from pgaudit.reproduce.outcome import Reproduction
from pgaudit.submission import Collected, Origin
from pgaudit.verdict import Level, Verdict, decide


def report_of(run: Reproduction, collected: Collected, edition: Edition, *, scan: bool) -> Report:
    """What reading says (where ``scan``), and what the re-run adds. A legal score that does not hold is a defect."""
    report = _scanned(collected, edition) if scan else _bundled(collected, edition)
    folder = report.submissions[0]
    findings = (*folder.findings, *(_finding(check, run) for check in run.checks if check.status is Status.FAILS))
    gaps = (*folder.gaps, *(_gap(check) for check in run.checks if check.status in OPEN))
    gaps += tuple(Gap(f"reproduce/seed-{seed.seed}", seed.explanation) for seed in run.seeds if not seed.finished)
    level = Level.RE_RUN if any(seed.finished for seed in run.seeds) else folder.level
    return replace(
        report,
        submissions=(
            replace(
                folder,
                verdict=decide(findings, gaps),
                mechanisms=tuple(sorted({finding.mechanism for finding in findings if finding.decides})),
                level=level,
                findings=findings,
                gaps=gaps,
            ),
        ),
    )


def report_of_refused(origin: Origin, why: str) -> Report:
    """The report on a submission that was not re-run."""
    from pgaudit import policy, rulebook

    folder = FolderReport(origin.pr, ".", Verdict.INCOMPLETE, (), Level.CLAIMED, (), (Gap("reproduce/plan", why),))
    edition = policy.load().edition_at(origin.date).since.isoformat()
    return Report(pgaudit.__version__, rulebook.load().digest, edition, origin, (folder,), {})


def _scanned(collected: Collected, edition: Edition) -> Report:
    from pgaudit import rulebook

    return audit(collected, rulebook.load(), Policy((edition,)))


def _bundled(collected: Collected, edition: Edition) -> Report:
    """The full-size bundled trainer comes without logs and claims; the rules are tested on it, it is not audited here."""
    from pgaudit import rulebook

    gaps = (Gap("scan", "the bundled trainer is not audited before it has logs and claims"),)
    folder = FolderReport(None, collected.submissions[0].folder, Verdict.INCOMPLETE, (), Level.CLAIMED, (), gaps)
    digest = rulebook.load().digest
    return Report(pgaudit.__version__, digest, edition.since.isoformat(), collected.origin, (folder,), {})


def _finding(check: Check, run: Reproduction) -> Finding:
    name = check.name.replace("_", "-").replace(" ", "-")
    message = f"{check.name} does not hold: claimed {check.claimed}, measured {check.measured}; {check.because}"
    place = Location("submission.json" if check.name == "val_bpb" else run.plan.main)
    return Finding(f"reproduce/{name}", "not-reproduced", "defect", Severity.ERROR, Confidence.HIGH, message, place)


def _gap(check: Check) -> Gap:
    return Gap(f"reproduce/{check.name.replace('_', '-').replace(' ', '-')}", f"{check.status.value}: {check.because}")
