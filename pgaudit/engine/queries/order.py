"""State changes and scores: what came first, and on which weights a score was taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from pgaudit.engine.events import ReportEvent, ScoreEvent, UpdateEvent
from pgaudit.engine.labels import Artifact, Score, Update
from pgaudit.engine.queries.reports import evaluates, scores_of
from pgaudit.engine.queries.slices import Overlap, overlap_of, same_targets, share_loop
from pgaudit.engine.walk import Walk


class Order(StrEnum):
    """How a state change on the scored tokens came to stand before the score that counts."""

    FITTED = "fitted"
    """A tensor made by the evaluation was fitted on them (SLOT)."""
    CALIBRATED = "calibrated"
    """Statistics of them went into the weights (a quantiser's calibration)."""
    COUNTED = "counted"
    """A table had counted them (a cache built in an earlier pass)."""
    LATER_EPOCH = "later epoch"
    """Each pass scores first, but a later pass over the same tokens is the one that counts."""
    IN_LOOP = "in loop"
    """The loop that scores them trains on them first."""
    BEFORE = "before"
    """They were trained on before the evaluation began."""


class StateBeforeScore(NamedTuple):
    """A reported score whose predictor had learned from the tokens that it scores."""

    score: ScoreEvent
    update: UpdateEvent
    overlap: Overlap


def state_before_score(walk: Walk, report: ReportEvent) -> Iterator[StateBeforeScore]:
    """Reported scores whose predictor carries an update on the same tokens (C3), or may carry one (C1).

    An update in a loop that also scores is legal when the loop iterations in the addresses keep both apart, or when
    it follows a reported score of that loop: then it can only have seen what was scored.
    """
    counted = [(label, walk.events[label.event]) for label in walk.labels.of(report.labels, Score)]
    for label, score in counted:
        assert isinstance(score, ScoreEvent)
        if not evaluates(walk, score):
            continue
        for update in updates_behind(walk, score.state):
            overlap = overlap_of(walk, update.uses, label, score)
            if overlap is Overlap.SAME or (
                overlap is Overlap.MAY and not _follows_score(update, score, [s for _, s in counted])
            ):
                yield StateBeforeScore(score, update, overlap)


def order_of(walk: Walk, hit: StateBeforeScore) -> Order:
    """Which shape a state change before its score has."""
    score, update, _ = hit
    if update.what == "count":
        return Order.COUNTED
    if update.what == "fit":
        return Order.CALIBRATED
    if update.fresh:
        return Order.FITTED
    shared = {loop[:2] for loop in score.place.loops} & {loop[:2] for loop in update.place.loops}
    if not shared:
        return Order.BEFORE
    scored_before = any(
        earlier.number < update.number
        and earlier.place.spot == score.place.spot
        and same_targets(walk, earlier, score)
        and shared & {loop[:2] for loop in earlier.place.loops}
        for earlier in walk.scores
    )
    return Order.LATER_EPOCH if scored_before else Order.IN_LOOP


def updates_behind(walk: Walk, labels: int) -> list[UpdateEvent]:
    """The updates that a state carries, latest first."""
    events = [walk.events[label.event] for label in walk.labels.of(labels, Update)]
    return [event for event in reversed(events) if isinstance(event, UpdateEvent)]


def _follows_score(update: UpdateEvent, score: ScoreEvent, counted: Iterable[object]) -> bool:
    shared = {loop[:2] for loop in score.place.loops} & {loop[:2] for loop in update.place.loops}
    return any(
        isinstance(earlier, ScoreEvent)
        and earlier.number < update.number
        and shared & {loop[:2] for loop in earlier.place.loops}
        for earlier in counted
    )


def calibrated_on_training(walk: Walk, report: ReportEvent) -> Iterator[StateBeforeScore]:
    """Reported scores of weights that were set from statistics of training tokens, after the last step and outside its loops."""
    last = max((number for number, _ in walk.trained), default=0)
    training = {loop[:2] for _, loops in walk.trained for loop in loops}
    for score in scores_of(walk, report.labels):
        for update in updates_behind(walk, score.state) if evaluates(walk, score) else ():
            after = update.number >= last and not training & {loop[:2] for loop in update.place.loops}
            if update.what == "fit" and after and any(a.origin == "train" for a in walk.labels.addresses(update.uses)):
                yield StateBeforeScore(score, update, Overlap.DISJOINT)


def kept_weights(walk: Walk, report: ReportEvent) -> Iterator[tuple[ScoreEvent, ScoreEvent]]:
    """Reported scores of weights that were not read back from a file, after weights that were had been scored."""
    read = walk.labels.mask(Artifact)
    returned = [score for score in walk.scores if evaluates(walk, score) and score.state & read]
    for score in scores_of(walk, report.labels):
        if evaluates(walk, score) and not score.state & read:
            before = [other for other in returned if other.number < score.number and not share_loop(other, score)]
            if before:
                yield score, before[-1]
