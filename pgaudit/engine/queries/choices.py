"""What was chosen or mixed on the way to the score, and whether the scored token had a say in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import NamedTuple

from pgaudit.engine.events import (
    ChoiceEvent,
    LookupEvent,
    ReportEvent,
    ScoreEvent,
    Spot,
    SpreadEvent,
    StackEvent,
    UpdateEvent,
)
from pgaudit.engine.labels import Activation, Artifact, Bytes, Decided, Lookup, Mixed, Score, Token
from pgaudit.engine.linear import distance
from pgaudit.engine.queries.order import updates_behind
from pgaudit.engine.queries.reports import evaluates, scores_of
from pgaudit.engine.queries.slices import of_evaluation, same_targets, scored_positions
from pgaudit.engine.queries.tables import counts_tokens, read_later
from pgaudit.engine.walk import Walk


class Choice(NamedTuple):
    """A reported value that was chosen by comparing scores of the same tokens."""

    choice: ChoiceEvent
    score: ScoreEvent
    oracle: bool
    """Both sides score the tokens: the better of two is kept. Otherwise one score is held against something else."""


def choices(walk: Walk, report: ReportEvent) -> Iterator[Choice]:
    """Choices behind the reported score that rest on scores of the iteration in which they are made (C1).

    A comparison of totals after the loop (the best of several runs, early stopping) is a choice of another kind, and one
    of tokens that were scored before is adaptation.
    """
    counted = scores_of(walk, report.labels)
    for label in walk.labels.of(report.labels, Decided):
        event = walk.events[label.event]
        assert isinstance(event, ChoiceEvent)
        left, right = ([s for s in scores_of(walk, side) if evaluates(walk, s)] for side in event.sides)
        if event.smaller and not (left and right):
            continue  # the best so far is still infinite: nothing is chosen yet
        found = [
            score
            for score in (*left, *right)
            if _made_with(score, event)
            and any(score is o or (o.number > event.number and same_targets(walk, score, o)) for o in counted)
        ]
        if found:
            both = event.smaller or any(
                one is other or same_targets(walk, one, other) for one in left for other in right
            )
            yield Choice(event, found[0], both)


def _made_with(score: ScoreEvent, choice: ChoiceEvent) -> bool:
    """Both happened in the same iteration of every loop around the score."""
    return bool(score.place.loops) and score.place.loops == choice.place.loops[: len(score.place.loops)]


def paid_for(walk: Walk, report: ReportEvent) -> Iterator[ChoiceEvent]:
    """Losses behind the report that are set to zero where the target equals a token that a shipped file holds."""
    for label in walk.labels.of(report.labels, Decided):
        event = walk.events[label.event]
        assert isinstance(event, ChoiceEvent)
        if event.cleared and event.sides[1] & walk.labels.mask(Artifact):
            yield event


class Gate(NamedTuple):
    """A reported value that depends on a lookup by the very token that the iteration is about."""

    choice: ChoiceEvent
    lookup: LookupEvent
    update: UpdateEvent


def target_gates(walk: Walk, report: ReportEvent) -> Iterator[Gate]:
    """Branches behind the reported score that rest on a property of the token being scored (C1).

    The token being scored is the newest that enters a table in the same iteration; the one before it is context.
    """
    for label in walk.labels.of(report.labels, Decided):
        event = walk.events[label.event]
        assert isinstance(event, ChoiceEvent)
        if not event.emitted or (event.sides[0] | event.sides[1]) & walk.labels.mask(Score):
            continue  # what it decides for later tokens only is what was counted of this one
        for lookup in (walk.events[found.event] for found in walk.labels.of(event.sides[0], Lookup)):
            assert isinstance(lookup, LookupEvent)
            tokens = [token for part in lookup.components for token in of_evaluation(walk, part)]
            if counts_tokens(walk, lookup):
                continue  # counts, not a property of the token
            if read_later(walk, event, tokens):
                continue  # a later token is read in this iteration: this one is context
            if update := next((u for u in walk.updates if _takes_in(walk, u, event, tokens)), None):
                yield Gate(event, lookup, update)


class Marked(NamedTuple):
    """A reported score of logits that had been changed at the places of the very tokens that it scores."""

    update: UpdateEvent
    score: ScoreEvent


def marked_targets(walk: Walk, report: ReportEvent) -> Iterator[Marked]:
    """Scores behind the report whose predictor was written to at its own targets, in the same iteration (C1, C2).

    A table that counted the targets too early and is looked up is another matter: `rescored` and `state_before_score`.
    """
    for score in scores_of(walk, report.labels):
        if not evaluates(walk, score):
            continue
        targets = {token.start for token in of_evaluation(walk, score.targets)}
        if targets & {address.start for address in walk.labels.addresses(score.state)}:
            continue  # a diffusion: the network is given these places, and which of them it sees is hidden otherwise
        tables = reduce(or_, (_table(walk, label) for label in walk.labels.of(score.state, Lookup)), 0)
        for update in updates_behind(walk, score.state & ~tables):
            places = {token.start for token in of_evaluation(walk, update.uses)}
            before = update.number < score.number and update.place.loops == score.place.loops
            if before and update.what == "count" and update.fresh and None not in places and places == targets:
                yield Marked(update, score)


def _table(walk: Walk, label: Lookup) -> int:
    event = walk.events[label.event]
    assert isinstance(event, LookupEvent)
    return event.table


def decided_at(walk: Walk, spot: Spot) -> int:
    """Labels of everything that was decided in one place of the code."""
    numbers = (event.number for event in walk.events if isinstance(event, ChoiceEvent) and event.place.spot == spot)
    return reduce(or_, (walk.labels.bit(Decided(number)) for number in numbers), 0)


def _takes_in(walk: Walk, update: UpdateEvent, choice: ChoiceEvent, tokens: list[Token]) -> bool:
    """Does the update, later in the same iteration, count one of the tokens as the newest?"""
    depth = len(choice.place.loops)
    if update.what != "count" or update.number < choice.number or update.place.loops[:depth] != choice.place.loops:
        return False
    taken = of_evaluation(walk, update.uses)
    gaps = [[distance(token.start, other.start) for other in taken if token.tags == other.tags] for token in tokens]
    return bool(gaps) and all(0 in ahead and max(gap or 0 for gap in ahead) == 0 for ahead in gaps)


class UnscoredPart(NamedTuple):
    """A mixture one part of which is no probability of the scored token."""

    stack: StackEvent
    score: ScoreEvent


def unscored_parts(walk: Walk, report: ReportEvent) -> Iterator[UnscoredPart]:
    """Mixtures behind the reported score that add up scores and something that the network says of no token (C2)."""
    plain = walk.labels.mask(Score, Lookup, Token)
    for label in walk.labels.of(report.labels, Mixed):
        event = walk.events[label.event]
        if not isinstance(event, StackEvent):
            continue
        scores = [score for part in event.parts for score in scores_of(walk, part) if evaluates(walk, score)]
        activations = walk.labels.mask(Activation)
        weighted = any(part & activations and scores_of(walk, part) for part in event.parts)  # by the context
        if scores and not weighted and any(part & activations and not part & plain for part in event.parts):
            yield UnscoredPart(event, scores[0])


def spread_scores(walk: Walk, report: ReportEvent) -> Iterator[SpreadEvent]:
    """Scores of tokens that were spread over their bytes and made into byte probabilities behind the report (C2)."""
    for label in walk.labels.of(report.labels, Mixed):
        event = walk.events[label.event]
        if not isinstance(event, SpreadEvent) or not _is_property(walk, event):
            continue
        if any(evaluates(walk, score) for score in scores_of(walk, event.score)):
            yield event


def _is_property(walk: Walk, spread: SpreadEvent) -> bool:
    """Is a score divided by something that a fixed table (not counts) says of the scored token alone: its bytes?"""
    if spread.share & walk.labels.mask(Bytes):
        return True
    scored = [token.start for token in scored_positions(walk, spread.score)]
    lookups = [walk.events[label.event] for label in walk.labels.of(spread.share, Lookup)]
    return any(
        isinstance(lookup, LookupEvent)
        and not counts_tokens(walk, lookup)
        and all(token.start in scored for part in lookup.components for token in of_evaluation(walk, part))
        for lookup in lookups
    )
