"""From a question about a run to findings: live under the effective configuration, dormant under the code's own defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pgaudit.engine.events import ReportEvent, UpdateEvent
from pgaudit.engine.queries import (
    Order,
    Overlap,
    StateBeforeScore,
    order_of,
    prints,
    says_something,
    share_loop,
    sure_origin,
    values_in,
)
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.rule import Rule

MOST_FINDINGS = 3
"""Places reported per rule: loops and branches show one defect many times."""


ANNOUNCING_LINES = 5
"""Lines above a call in which a print announces it."""
LEAST_DEPTH = 2
"""Calls that lead into a function of its own: ``main`` prints whatever happens."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of a query, ready to be shown."""

    message: str
    location: Location
    steps: tuple[Step, ...] = ()
    confidence: Confidence = Confidence.HIGH
    facts: dict[str, object] = field(default_factory=dict)
    prints: tuple[str, ...] = ()
    """Templates that the code of the finding prints when it runs."""
    dormant: str = ""
    """What shows that it had no effect in the run, if anything does."""


def judge(rule: Rule, evidence: Evidence, ask: Callable[[Run], Iterable[Hit]]) -> Iterator[Finding | Gap]:
    """Findings of ``rule`` where ``ask`` finds something in the run that counts.

    What only the code's defaults would do stays as a note that names what switches it off: the submitter writes the
    README and the log.
    """
    run = evidence.run
    if run is None:
        return
    if gap := unfollowed(run):
        yield gap
    hits = _by_place(ask(run))
    for hit in hits:
        if hit.dormant:
            yield rule.finding(
                hit.message, hit.location, steps=hit.steps, severity=Severity.NOTE, facts=hit.facts, dormant=hit.dormant
            )
            continue
        confidence = _trusted(hit, run, evidence)
        yield rule.finding(hit.message, hit.location, steps=hit.steps, confidence=confidence, facts=hit.facts)
    if hits or not run.configuration.changes_defaults:
        return
    shipped = evidence.run_as_shipped
    off = switched_off(run, shipped) if shipped else ""
    if shipped and off:
        for hit in _by_place(ask(shipped)):
            yield rule.finding(
                hit.message, hit.location, steps=hit.steps, severity=Severity.NOTE, facts=hit.facts, dormant=off
            )


def state_changes(orders: Iterable[Order], message: str) -> Callable[[Run], Iterator[Hit]]:
    """The question for reported scores whose state had learned from the scored tokens in one of the given orders."""
    wanted = frozenset(orders)

    def ask(run: Run) -> Iterator[Hit]:
        if run.score is None:
            return
        for hit in run.state_changes:
            if order_of(run.walk, hit) in wanted:
                yield _state_change(run, run.score, hit, message)

    return ask


def _state_change(run: Run, report: ReportEvent, hit: StateBeforeScore, message: str) -> Hit:
    """The trace of one state change before its score: the change, the score, the print."""
    same = hit.overlap is Overlap.SAME
    steps = (
        *run.entered(hit.update.place),
        run.step(hit.update, "state changes here, using validation tokens"),
        *run.entered(hit.score.place, after=hit.update.place),
        run.step(hit.score, "the same tokens are scored here" if same else "tokens of the same stream are scored here"),
        run.step(report, "the score is printed here"),
    )
    confidence = Confidence.HIGH if same else Confidence.MEDIUM
    if not (sure_origin(run.walk, hit.update.uses) or share_loop(hit.update, hit.score)):
        confidence = Confidence.LOW  # these may be training shards
    return Hit(message, run.at(hit.update.place.spot), steps, confidence, prints=_printed_beside(run, hit.update))


def _printed_beside(run: Run, update: UpdateEvent) -> tuple[str, ...]:
    """What the function that changes the state prints, if it was called for that, and what announces the calls that lead to it."""
    chain = update.place.calls
    if len(chain) < LEAST_DEPTH:
        return _printed_in_branch(run, update)
    announcing = {
        (module, line - above) for module, line in chain[LEAST_DEPTH - 1 :] for above in range(1, ANNOUNCING_LINES)
    }
    return tuple(
        report.template
        for report in run.walk.reports
        if report.place.calls[: len(chain)] == chain
        or any(spot in announcing for spot in (report.place.spot, *report.place.calls))
    )


def _printed_in_branch(run: Run, update: UpdateEvent) -> tuple[str, ...]:
    """What is printed under the innermost test around a state change of ``main`` itself, if anything is."""
    chain, (module, line) = update.place.calls, update.place.spot
    printed = [
        ((*report.place.calls, report.place.spot)[len(chain)], report.template)
        for report in run.walk.reports
        if report.place.calls[: len(chain)] == chain and says_something(report.template)
    ]
    around = [(first, last) for first, last in run.branches(module) if first <= line <= last]
    for first, last in sorted(around, key=lambda lines: lines[1] - lines[0]):
        if under := tuple(template for (_, at), template in printed if first <= at <= last):
            return under
    return ()


def _trusted(hit: Hit, run: Run, evidence: Evidence) -> Confidence:
    """How sure a hit is, given how far the log shows that this is what ran."""
    if run.foreign_log:
        return max(hit.confidence, Confidence.MEDIUM, key=list(Confidence).index)
    return hit.confidence if run.matched and not _denied(hit, evidence) else Confidence.LOW


def _denied(hit: Hit, evidence: Evidence) -> bool:
    """The log of the run has none of the lines that the code of the finding prints: it may not have run."""
    log = evidence.scored_log
    # The numbers of the run need not be those of the configuration that is known.
    templates = {re.sub(r"\d+", "\0", template) for template in hit.prints if says_something(template)}
    if not templates or log is None or log.final is None:
        return False
    return not any(prints(template, line) for line in evidence.scored_log_lines for template in templates)


def printed_zero(evidence: Evidence, run: Run, label: int) -> str:
    """Where the log of the run prints 0 for a value that carries ``label``: how often a gate opened, say. Empty if nowhere."""
    log = evidence.scored_log
    for report in run.walk.reports if log else ():
        wanted = [number for number, hole in enumerate(report.holes) if hole & label]
        if not wanted or not says_something(report.template):
            continue
        for number, line in enumerate(evidence.scored_log_lines, 1):
            found = values_in(report.template, line)
            if found and any(found[hole] == "0" for hole in wanted):
                assert log is not None
                return f"{log.path}:{number}"
    return ""


def unfollowed(run: Run) -> Gap | None:
    """Why the walk cannot vouch for the score, if it cannot."""
    if run.score is None:
        return Gap("run", "no validation score was seen to reach a print of the main script")
    if run.foreign_log:
        return Gap(
            "run", "no shipped script holds the words of the log line with the score", run.at(run.score.place.spot)
        )
    if not run.matched:
        return Gap(
            "run", "no print that was seen can have written the log line with the score", run.at(run.score.place.spot)
        )
    for reason, spot in run.walk.problems.items():
        return Gap("run", reason, run.at(spot))
    return None


def switched_off(run: Run, shipped: Run) -> str:
    """The settings, with their sources, that differ between the run and the code's defaults; empty if none does."""
    defaults = shipped.walk.settings
    return ", ".join(
        f"{name}={value} ({source})"
        for name, (value, source) in sorted(run.walk.settings.items())
        if name in defaults and defaults[name][0] != value
    )


def _by_place(hits: Iterable[Hit]) -> list[Hit]:
    """The first hit of each place, surest first, few."""
    ordered = sorted(hits, key=lambda hit: list(Confidence).index(hit.confidence))
    return list({hit.location: hit for hit in reversed(ordered)}.values())[::-1][:MOST_FINDINGS]
