"""The audit, whole, on one page: collected submissions in, report out. Prints nothing, asks no clock."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

import pgaudit
from pgaudit.evidence.corpus import Corpus
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.measures import measures
from pgaudit.finding import Finding, Gap, Location
from pgaudit.fingerprint import numbered
from pgaudit.fix import readme, submission_json
from pgaudit.fix.repair import Replacement, replacements
from pgaudit.level import level_of
from pgaudit.policy import Policy
from pgaudit.report import FolderReport, Outcome, Report, SetAside, strength
from pgaudit.rulebook import Rulebook
from pgaudit.submission import Collected, Submission, UnreadableFile
from pgaudit.verdict import Level, decide
from pgaudit.waivers import Waivers

T = TypeVar("T")
U = TypeVar("U")


def audit(
    collected: Collected,
    rulebook: Rulebook,
    policy: Policy,
    waivers: Waivers | None = None,
    on: date | None = None,
    corpus: Corpus | None = None,
) -> Report:
    """Judge every submission by the policy edition in force ``on`` that date (default: the date of its head)."""
    waivers = waivers or Waivers()
    edition = policy.edition_at(on or collected.origin.date)
    evidence = (Evidence(submission, edition, corpus) for submission in collected.submissions)
    folders = tuple(audit_folder(each, rulebook, waivers) for each in evidence)
    fired = {finding.rule for folder in folders for finding in folder.findings}
    fired |= {waived.finding.rule for folder in folders for waived in folder.waived}
    return Report(
        version=pgaudit.__version__,
        rulebook=rulebook.digest,
        edition=edition.since.isoformat(),
        origin=collected.origin,
        submissions=folders,
        rules={entry.rule.id: entry.rule for entry in rulebook if entry.rule.id in fired},
        outside=collected.outside,
        deleted=collected.deleted,
        unused_waivers=waivers.unused(waived.waiver for folder in folders for waived in folder.waived),
        expired_waivers=waivers.expired,
    )


def audit_folder(evidence: Evidence, rulebook: Rulebook, waivers: Waivers) -> FolderReport:
    """Run every rule on one record folder and decide."""
    submission = evidence.submission
    results: list[Finding | Gap] = []
    outcomes: dict[str, Outcome] = {}
    for entry in rulebook:
        crash, yielded = collect_results(entry.rule.id, partial(entry.check, evidence))
        outcomes[entry.rule.id] = outcome_of(crash, yielded)
        results += yielded
    results += collect_results("evidence", lambda: evidence.gaps)[1]
    level, crashes = or_gap("level", lambda: level_of(evidence), Level.CLAIMED)
    measured, unmeasured = or_gap("measures", lambda: measures(evidence), ())
    gaps = dict.fromkeys([*(result for result in results if isinstance(result, Gap)), *crashes, *unmeasured])
    found = numbered(result for result in results if isinstance(result, Finding))
    findings, waived = set_aside(found, submission, waivers)
    return FolderReport(
        pr=submission.origin.pr,
        folder=submission.folder,
        verdict=decide(findings, gaps),
        mechanisms=tuple(sorted({finding.mechanism for finding in findings if finding.decides})),
        level=level,
        findings=tuple(sorted(findings, key=strength)),
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.check, gap.reason, str(gap.location or "")))),
        waived=tuple(sorted(waived, key=lambda item: strength(item.finding))),
        outcomes=outcomes,
        track=submission.track,
        head=submission.origin.head,
        score=or_gap("score", lambda: score_of(evidence), None)[0],
        measures=measured,
        replacements=or_gap("fix", lambda: replacements_of(evidence), ())[0],  # what is only offered decides nothing
    )


def set_aside(found: list[Finding], submission: Submission, waivers: Waivers) -> tuple[list[Finding], list[SetAside]]:
    """The findings that count, and those that a waiver covers."""
    counting: list[Finding] = []
    waived: list[SetAside] = []
    for finding in found:
        if waiver := waivers.match(finding, submission.origin.pr, submission.folder):
            waived.append(SetAside(finding, waiver))
        else:
            counting.append(finding)
    return counting, waived


def or_gap(check: str, ask: Callable[[], T], otherwise: U) -> tuple[T | U, list[Gap]]:
    """What a reader answers; or else ``otherwise``, and why it could not."""
    try:
        return ask(), []
    except Exception as error:  # noqa: BLE001 -- whatever a submission makes a reader raise
        return otherwise, [Gap(check, crashed(error))]


def score_of(evidence: Evidence) -> Location | None:
    """Where the score is printed that the walk followed."""
    run = evidence.run
    return run.at(run.score.place.spot) if run and run.score else None


def replacements_of(evidence: Evidence) -> tuple[Replacement, ...]:
    """What ``pgaudit fix`` would write; nothing where a rule reports that submission.json cannot be read."""
    if evidence.claims is not None and evidence.claims.problem is not None:
        return ()
    repairs = (submission_json.repair(evidence), readme.repair(evidence))
    return tuple(each for repair in repairs if repair for each in replacements(repair))


def collect_results(check: str, produce: Callable[[], Iterable[Finding | Gap]]) -> tuple[bool, list[Finding | Gap]]:
    """Whether ``produce`` crashed, and what it yielded: a crash is a gap, and never costs the rest of the audit."""
    results: list[Finding | Gap] = []
    try:
        results.extend(produce())
    except UnreadableFile as error:
        results.append(Gap(check, error.reason, Location(error.path)))
    except Exception as error:  # noqa: BLE001 -- whatever a submission makes a rule raise
        results.append(Gap(check, crashed(error)))
        return True, results
    return False, results


def outcome_of(crash: bool, results: list[Finding | Gap]) -> Outcome:
    """One word for what a rule did on one submission; a finding outweighs a gap."""
    if crash:
        return Outcome.CRASHED
    if any(isinstance(result, Finding) for result in results):
        return Outcome.FIRED
    return Outcome.NOT_DECIDED if results else Outcome.CLEAN


def crashed(error: Exception) -> str:
    """The reason of a gap: what was raised, and on which line. Its text may differ from run to run, so it stays out."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    path = Path(frame.filename)
    return f"pgaudit crashed here: {type(error).__name__} at {path.parent.name}/{path.name}:{frame.lineno}"
