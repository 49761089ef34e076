"""How much of the validation stream the reported score is taken on."""

from __future__ import annotations

from dataclasses import dataclass

from pgaudit.engine.events import ReportEvent, ScoreEvent
from pgaudit.engine.labels import Token
from pgaudit.engine.queries.reports import scores_of
from pgaudit.engine.walk import Walk


@dataclass(frozen=True, slots=True)
class Cut:
    """A reported score that is taken on the beginning of the validation stream."""

    score: ScoreEvent
    tokens: int
    """The most tokens that the stream can have."""
    always: bool
    """No branch leaves the stream whole."""


def capped(walk: Walk, report: ReportEvent) -> Cut | None:
    """Whether all that a report rests on was scored on a stream that was cut.

    A cut that is made on one branch (``if len(t) > n: t = t[:n]``) leaves the same tokens of both streams.
    """
    scores = scores_of(walk, report.labels)
    found: list[Cut] = []
    for score in scores:
        tokens = [token for token in walk.labels.of(score.targets, Token) if token.origin != "train"]
        cut = {_place(token): token.cap for token in tokens if token.cap is not None}
        if not cut or any(_place(token) not in cut for token in tokens):
            return None
        found.append(Cut(score, max(cut.values()), all(token.cap is not None for token in tokens)))
    return max(found, key=lambda cut: cut.tokens, default=None)


def _place(token: Token) -> tuple[object, ...]:
    return token.origin, token.tags, token.start
