"""Which print carries the score, and which losses it rests on."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import or_
from typing import NamedTuple

from pgaudit.engine.events import ReportEvent, ScoreEvent
from pgaudit.engine.labels import Score, Token
from pgaudit.engine.walk import Walk

METRIC_WORDS = (("bpb", "bits_per_byte", "bits per byte"), ("loss",))
"""Words that name the metric, the telling ones first."""
LEAST_LETTERS = 3
"""A template with fewer literal letters fits any line."""


class Reported(NamedTuple):
    """The print that carries the submission's score."""

    event: ReportEvent
    matched: bool
    """It can have printed a log line that holds the claimed number, or there is no such line to compare with."""


def reported(walk: Walk, score_lines: tuple[str, ...] = ()) -> Reported | None:
    """Find the print that carries the score: it depends on validation scores and can have printed one of ``score_lines``.

    Where none of those lines (the log lines that hold the claimed number) fits, it is the last print that names the metric.
    """
    candidates = [
        event for event in reversed(walk.reports) if any(evaluates(walk, s) for s in scores_of(walk, event.labels))
    ]
    for event in candidates:
        if any(prints(event.template, line) for line in score_lines):
            return Reported(_metric_only(event), True)
    for words in METRIC_WORDS:
        for event in candidates:
            if any(word in event.template.lower() for word in words):
                return Reported(_metric_only(event), not score_lines)
    return None


def _metric_only(event: ReportEvent) -> ReportEvent:
    """The print with what its metric rests on: a diagnostic beside it on the line is no part of the score."""
    before = event.template.lower().split("\0")
    for words in METRIC_WORDS:
        named = [hole for hole, text in zip(event.holes, before, strict=False) if any(word in text for word in words)]
        if named:
            return replace(event, labels=reduce(or_, named))
    return event


def prints(template: str, line: str) -> bool:
    """Can the template have printed the line? Its literal parts must stand there in order, and say something."""
    at = 0
    parts = [part.strip() for part in template.split("\0")]
    for part in parts:
        found = line.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return says_something(template)


def values_in(template: str, line: str) -> list[str] | None:
    """What stands in a line for each part of the template that is not known; ``None`` if the line is not of its form."""
    first, *parts = template.split("\0")
    at = line.find(first)
    if at < 0:
        return None
    at += len(first)
    values = []
    for part in parts:
        end = line.find(part, at) if part else len(line) if part is parts[-1] else at
        if end < 0:
            return None
        values.append(line[at:end].strip())
        at = end + len(part)
    return values


def says_something(template: str) -> bool:
    """A template needs some literal letters to be told from any other."""
    return sum(map(str.isalpha, template)) >= LEAST_LETTERS


def evaluates(walk: Walk, score: ScoreEvent) -> bool:
    return any(token.origin != "train" for token in walk.labels.of(score.targets, Token))


def scores_of(walk: Walk, labels: int) -> list[ScoreEvent]:
    """The score events in a set of labels."""
    events = [walk.events[label.event] for label in walk.labels.of(labels, Score)]
    return [event for event in events if isinstance(event, ScoreEvent)]


def scored_origins(walk: Walk, report: ReportEvent) -> set[str]:
    """Where the targets of the reported scores come from."""
    scores = scores_of(walk, report.labels)
    return {token.origin for score in scores for token in walk.labels.of(score.targets, Token)}
