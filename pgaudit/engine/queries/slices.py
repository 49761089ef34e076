"""How slices of the token stream, and iterations of loops, relate."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from pgaudit.engine.events import Event, ScoreEvent
from pgaudit.engine.labels import Activation, Iteration, Score, Token
from pgaudit.engine.linear import Linear, distance
from pgaudit.engine.machine import TRAINING_DATA, UNKNOWN_ORIGIN
from pgaudit.engine.walk import Walk

UNPLACED = frozenset({"train", "network"})
"""Origins of tokens whose place in their stream says nothing."""


class Overlap(IntEnum):
    """How two slices of one token stream relate."""

    DISJOINT = 0
    MAY = 1
    SAME = 2


def overlap_of(walk: Walk, uses: int, label: Score, score: ScoreEvent) -> Overlap:
    """Did ``uses`` contain the tokens that ``score`` scores?"""
    strongest = Overlap.DISJOINT
    targets = walk.labels.of(score.targets, Token)
    for used, window in _used_tokens(walk, uses):
        if window is not None and _bounded_before(window, label):
            continue
        for target in targets:
            if _ends_before(used, target, label):
                continue
            strongest = max(strongest, compare(walk, used, target))
            if strongest is Overlap.SAME:
                return strongest
    return strongest


def _used_tokens(walk: Walk, uses: int) -> Iterator[tuple[Token | Activation, Score | None]]:
    for address in walk.labels.addresses(uses):
        yield address, None
    for label in walk.labels.of(uses, Score):
        event = walk.events[label.event]
        assert isinstance(event, ScoreEvent)
        for token in walk.labels.of(event.targets, Token):
            yield token, label


def sure_origin(walk: Walk, uses: int) -> bool:
    """Is any of the text that was used known to be validation text? A path that the walk lost may lead to training shards."""
    return any(token.origin != UNKNOWN_ORIGIN for token, _ in _used_tokens(walk, uses) if token.origin != TRAINING_DATA)


def _bounded_before(used: Score, scored: Score) -> bool:
    """The fit ends, within each window, where the score begins."""
    gap = distance(used.end, scored.start)
    return gap is not None and gap >= 0


def _ends_before(used: Token | Activation, target: Token, scored: Score) -> bool:
    """The slice that was used ends where the scored part of the window begins."""
    if target.start is None or scored.start is None:
        return False
    gap = distance(used.end, target.start.plus(scored.start))
    return gap is not None and gap >= 0


def compare(walk: Walk, used: Token | Activation, target: Token) -> Overlap:
    if not {used.origin, target.origin}.isdisjoint(UNPLACED):
        return Overlap.DISJOINT
    mine, theirs = _by_loop(used.tags), _by_loop(target.tags)
    shared = mine.keys() & theirs.keys()
    if any(not mine[loop] & theirs[loop] for loop in shared):
        return Overlap.DISJOINT
    # Positions gathered from several iterations say nothing about any one of them, nor does a loop walked only once.
    telling = shared & walk.loops_told_apart
    same = bool(telling) and all(len(mine[loop]) == len(theirs[loop]) == 1 for loop in telling)
    whole = not mine and not theirs and used.start is not None and target.start is not None
    return Overlap.SAME if same or whole else Overlap.MAY


def same_targets(walk: Walk, one: ScoreEvent, other: ScoreEvent) -> bool:
    """Do two scores share a slice?"""
    theirs = walk.labels.of(other.targets, Token)
    return any(
        compare(walk, mine, target) is Overlap.SAME for mine in walk.labels.of(one.targets, Token) for target in theirs
    )


def _by_loop(tags: frozenset[Iteration]) -> dict[int, set[int]]:
    loops: dict[int, set[int]] = {}
    for tag in tags:
        loops.setdefault(tag.loop, set()).add(tag.position)
    return loops


def of_evaluation(walk: Walk, component: int) -> list[Token]:
    """The tokens of an index component that are no training tokens."""
    return [token for token in walk.labels.of(component, Token) if token.origin != "train"]


def scored_positions(walk: Walk, labels: int) -> Iterator[Token]:
    """The tokens that the scores of a set predict, moved to where each score was sliced."""
    for label in walk.labels.of(labels, Score):
        event = walk.events[label.event]
        assert isinstance(event, ScoreEvent)
        for token in walk.labels.of(event.targets, Token):
            yield token
            if label.start is not None and token.start is not None and label.start != Linear(0):
                yield Token(token.origin, token.tags, token.start.plus(label.start))


def share_loop(one: Event, other: Event) -> bool:
    """Did both happen in one execution of a loop?"""
    return bool({loop[:2] for loop in one.place.loops} & {loop[:2] for loop in other.place.loops})
