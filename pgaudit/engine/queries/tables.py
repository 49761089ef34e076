"""Table lookups behind the score: what their keys hold, and what the tables had counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import permutations
from typing import NamedTuple

from pgaudit.engine.events import Event, LookupEvent, ReportEvent, ScoreEvent, UpdateEvent
from pgaudit.engine.labels import Artifact, Iteration, Lookup, Token, Update
from pgaudit.engine.linear import Linear, distance
from pgaudit.engine.queries.order import updates_behind
from pgaudit.engine.queries.reports import evaluates, scores_of
from pgaudit.engine.queries.slices import of_evaluation, scored_positions, share_loop
from pgaudit.engine.walk import Walk

MOST_TOGETHER = 64
"""Lookups of one iteration that are compared in pairs."""


class TargetInKey(NamedTuple):
    """A lookup that feeds a reported score, one index component of which holds the scored token and its context."""

    lookup: LookupEvent
    component: int
    scored: Token
    context: Token


def target_in_key(walk: Walk, report: ReportEvent) -> Iterator[TargetInKey]:
    """Lookups behind the reported score whose index mixes the scored token with its context (C1).

    A component that holds scored tokens only (a byte table read at the targets) is a choice of column.
    """
    lookups = lookups_behind(walk, report)
    scored: dict[tuple[str, Linear], list[Token]] = {}
    for token in scored_positions(walk, report.labels):
        if token.start is not None:
            scored.setdefault((token.origin, token.start), []).append(token)
    for lookup in lookups:
        counts = counts_tokens(walk, lookup) or lookup.table & walk.labels.mask(Artifact)
        for index, component in enumerate(lookup.components):
            tokens = [token for token in of_evaluation(walk, component) if token.start is not None]
            if not tokens or read_later(walk, lookup, tokens):
                continue
            targets = [token for token in tokens if _is_scored(token, scored, lookup)]
            context = [token for token in tokens if token not in targets]
            if not counts:  # an array that was written to in every iteration may still hold tokens of the one before
                context = [token for token in context if any(not _apart(token.tags, target.tags) for target in targets)]
            if targets and context:
                yield TargetInKey(lookup, index, targets[0], context[0])


def _apart(one: frozenset[Iteration], other: frozenset[Iteration]) -> bool:
    """Are two tokens of different iterations of one loop?"""
    places = {tag.loop: tag.position for tag in other}
    return any(places.get(tag.loop, tag.position) != tag.position for tag in one)


def _is_scored(token: Token, scored: Mapping[tuple[str, Linear], list[Token]], lookup: LookupEvent) -> bool:
    """Is it one of the scored tokens?

    Numbers alone may coincide between two loops: those have to share one, or the result is stored as far from its token
    as the slice that is taken of it lies from the scored ones.
    """
    assert token.start is not None
    loops = {tag.loop for tag in token.tags}
    ahead = distance(lookup.stored, token.start)
    return any(
        token.start.terms or not loops or not other.tags or loops & {tag.loop for tag in other.tags}
        for other in scored.get((token.origin, token.start), ())
    ) or any(
        ahead is not None and origin == token.origin and distance(lookup.taken, start) == ahead
        for origin, start in scored
    )


def read_later(walk: Walk, lookup: Event, tokens: list[Token]) -> bool:
    """Does the same iteration look up or count a token after all of these? Then none of them is the one being scored."""
    beside = [
        *(component for other in walk.lookups if _beside(other, lookup) for component in other.components),
        *(update.uses for update in walk.updates if update.what == "count" and _beside(update, lookup)),
    ]
    return any(
        all((distance(token.start, one.start) or 0) > 0 for token in tokens)
        for labels in beside
        for one in of_evaluation(walk, labels)
    )


def _beside(one: Event, other: Event) -> bool:
    """Did both happen in one call and one iteration of its loops?"""
    return bool(one.place.loops) and (one.place.loops, one.place.calls) == (other.place.loops, other.place.calls)


def pair_lookups(walk: Walk, report: ReportEvent) -> Iterator[TargetInKey]:
    """Pairs of lookups behind the reported score, made together, whose keys differ by exactly the newest token (C1).

    This is ``pairs[hash(context, target)] / contexts[hash(context)]`` where the position of the target was lost. Where
    positions are index arrays, the target is the token that the loop over the context does not touch.
    """
    together: dict[object, list[LookupEvent]] = {}
    for lookup in lookups_behind(walk, report):
        together.setdefault((lookup.place.calls, lookup.place.loops), []).append(lookup)
    pairs = (
        (pair, context) for lookups in together.values() for pair, context in permutations(lookups[:MOST_TOGETHER], 2)
    )
    tokens_of = cache(lambda part: dict.fromkeys(of_evaluation(walk, part)))
    for pair, context in pairs:
        for index, (longer, shorter) in enumerate(zip(pair.components, context.components, strict=False)):
            if shorter & ~longer or shorter == longer or not shorter:
                continue
            known, tokens = tokens_of(shorter), tokens_of(longer)
            added = [token for token in tokens if token not in known]
            if added and known and known.keys() < tokens.keys() and all(_newest(t, known) for t in added):
                yield TargetInKey(pair, index, added[0], next(iter(known)))


def lookups_behind(walk: Walk, report: ReportEvent) -> list[LookupEvent]:
    """The lookups that a report rests on, oldest first."""
    events = [walk.events[label.event] for label in walk.labels.of(report.labels, Lookup)]
    return [event for event in events if isinstance(event, LookupEvent)]


def _newest(token: Token, others: Iterable[Token]) -> bool:
    """Does a token come after the others; or, where positions are lost alike, apart from the loop that gathers them?"""
    gathering = frozenset.intersection(*(frozenset(tag.loop for tag in other.tags) for other in others))
    apart = bool(gathering - {tag.loop for tag in token.tags})
    for other in others:
        gap = distance(other.start, token.start)
        if gap is None and (other.start is not None or token.start is not None):
            return False
        if not (gap or 0) > 0 and not (apart and not gap):
            return False
    return True


class Rescored(NamedTuple):
    """A lookup behind the reported score in a table that had counted tokens after they were scored once."""

    score: ScoreEvent
    update: UpdateEvent
    lookup: LookupEvent


def rescored(walk: Walk, report: ReportEvent) -> Iterator[Rescored]:
    """Lookups behind the reported score in tables that another loop had filled with tokens already scored (C4).

    A table that is filled with the prefix of the stream before anything is scored has no earlier score of its own.
    """
    counted = [score for score in scores_of(walk, report.labels) if evaluates(walk, score)]
    for lookup in lookups_behind(walk, report):
        for update in updates_behind(walk, lookup.table):
            if update.what != "count" or update.number > lookup.number or share_loop(update, lookup):
                continue
            if not any(a.origin != "train" for a in walk.labels.addresses(update.uses)):
                continue
            earlier = [score for score in walk.scores if score.number < update.number and share_loop(score, update)]
            earlier += [s for s in counted if s.number < update.number and not share_loop(s, lookup)]
            if evaluated := [score for score in earlier if evaluates(walk, score)]:
                yield Rescored(evaluated[0], update, lookup)


def counts_tokens(walk: Walk, lookup: LookupEvent) -> bool:
    """Does the table count tokens, now or later?"""
    return bool((lookup.table | lookup.source.labels) & walk.labels.mask(Update))
