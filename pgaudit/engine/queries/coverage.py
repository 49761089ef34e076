"""How much of the validation stream the reported score is taken on."""

from __future__ import annotations

from pgaudit.engine.events import ReportEvent, ScoreEvent
from pgaudit.engine.labels import Token
from pgaudit.engine.queries.reports import scores_of
from pgaudit.engine.walk import Walk


def capped(walk: Walk, report: ReportEvent) -> tuple[ScoreEvent, int] | None:
    """The first score behind a report whose targets come from a stream that was cut, with the most tokens it can have.

    A cut that is made only where the stream is longer (``if len(t) > n: t = t[:n]``) leaves both streams; it counts.
    """
    for score in scores_of(walk, report.labels):
        caps = [token.cap for token in walk.labels.of(score.targets, Token) if token.cap is not None]
        if caps:
            return score, max(caps)
    return None
