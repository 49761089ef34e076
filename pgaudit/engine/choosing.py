"""Choices and mixtures: comparisons of scores, gates, stacks of alternatives and shares, and the marks that they leave."""

from __future__ import annotations

from pgaudit.engine.events import ChoiceEvent, LookupEvent, SpreadEvent, StackEvent
from pgaudit.engine.labels import Artifact, Decided, Iteration, Lookup, Score, Spread, Stacked, Token
from pgaudit.engine.linear import Linear, distance
from pgaudit.engine.machine import Machine
from pgaudit.engine.values import Const, Value

LEAST_BOUND = 1e-5
"""Scores are held against smaller numbers only to keep logarithms finite."""
LEAST_STACK = 2
"""Fewer values are no alternatives."""


def choose(m: Machine, left: Value, right: Value, line: int, *, smaller: bool = False) -> int:
    """Record that ``left`` and ``right`` are compared, if scores are involved; returns the labels of the answer.

    ``smaller``: the smaller of both is taken. A bound that only keeps numbers finite chooses nothing.
    """
    kept = m.labels.mask(Score, Lookup)
    sides = m.content(left) & kept, m.content(right) & kept
    if not m.loops or not (sides[0] | sides[1]) & m.labels.mask(Score):
        return 0
    bounds = [side.value for side in (left, right) if isinstance(side, Const)]
    if any(not isinstance(bound, int | float) or abs(bound) < LEAST_BOUND for bound in bounds):
        return 0
    number = len(m.events)
    m.events.append(ChoiceEvent(number, m.place(line), sides, smaller and not bounds))
    return m.labels.bit(Decided(number))


def comparisons(m: Machine, labels: int) -> int:
    """The choices in a set that compared scores."""
    found = 0
    for label in m.labels.of(labels, Decided):
        event = m.events[label.event]
        assert isinstance(event, ChoiceEvent)
        if (event.sides[0] | event.sides[1]) & m.labels.mask(Score):
            found |= m.labels.bit(label)
    return found


def match(m: Machine, left: Value, right: Value, line: int) -> int:
    """Record that tokens are compared with something read from a file of the submission; returns the label of the answer."""
    tokens, read = m.labels.mask(Token), m.labels.mask(Artifact)
    sides = m.content(left), m.content(right)
    for mine, theirs in (sides, sides[::-1]):
        if mine & tokens and theirs & read and not theirs & tokens:
            number = len(m.events)
            m.events.append(ChoiceEvent(number, m.place(line), (mine & tokens, theirs & read)))
            return m.labels.bit(Decided(number))
    return 0


def gate(m: Machine, test: Value, line: int) -> int:
    """Record that a branch rests on table lookups alone; returns the label of what it decides."""
    lookups = test.labels & m.labels.mask(Lookup)
    if not m.loops or not lookups or test.labels & m.labels.mask(Decided):
        return 0
    number = len(m.events)
    m.events.append(ChoiceEvent(number, m.place(line), (lookups, 0)))
    return m.labels.bit(Decided(number))


def clear(m: Machine, target: Value, chosen: int) -> None:
    """Note that a loss is set to zero at places that choices in ``chosen`` selected."""
    if m.content(target) & m.labels.mask(Score):
        for label in m.labels.of(chosen, Decided):
            event = m.events[label.event]
            assert isinstance(event, ChoiceEvent)
            event.cleared = True


def emit(m: Machine, labels: int, keys: list[Value]) -> None:
    """Note that choices in ``labels`` decide what is stored at ``keys``, if that is the place of this iteration."""
    place = m.union(keys)
    for label in m.labels.of(labels, Decided):
        event = m.events[label.event]
        assert isinstance(event, ChoiceEvent)
        loop, _, position = event.place.loops[-1] if event.place.loops else (-1, 0, 0)
        if event.place.loops == tuple(m.loops[: len(event.place.loops)]):
            here = bool(place & m.labels.bit(Iteration(loop, position)))
            event.emitted |= here and not _is_later(m, event, keys)


def place(m: Machine, labels: int, index: Linear | None) -> None:
    """Note where the lookups of this iteration that are in ``labels`` are stored."""
    for label in m.labels.of(labels, Lookup):
        event = m.events[label.event]
        assert isinstance(event, LookupEvent)
        if event.stored is None and event.place.loops and event.place.loops == tuple(m.loops):
            event.stored = index


def take(m: Machine, labels: int, start: Linear | None) -> None:
    """Note from where the stored lookups that are in ``labels`` are taken."""
    for label in m.labels.of(labels, Lookup):
        event = m.events[label.event]
        assert isinstance(event, LookupEvent)
        if event.stored is not None and event.taken is None:
            event.taken = start


def _is_later(m: Machine, choice: ChoiceEvent, keys: list[Value]) -> bool:
    """Is the place that is written behind the tokens that the choice rests on (``hints[i + 1]`` by a class of ``ids[i]``)?"""
    lookups = [m.events[label.event] for label in m.labels.of(choice.sides[0], Lookup)]
    read = [token.start for event in lookups if isinstance(event, LookupEvent) for part in event.components
            for token in m.labels.of(part, Token)]  # fmt: skip
    gaps = [distance(start, m.linear(key)) for start in read for key in keys]
    return bool(gaps) and all(gap is not None and gap > 0 for gap in gaps)


def stack(m: Machine, values: list[Value], line: int) -> int:
    """Record that ``values`` are put side by side, if scores are among them; returns the label of each."""
    sides = tuple(m.content(value) for value in values)
    if len(sides) < LEAST_STACK or not any(part & m.labels.mask(Score) for part in sides):
        return 0
    number = len(m.events)
    m.events.append(StackEvent(number, m.place(line), sides))
    return m.labels.bit(Stacked(number))


def spread(m: Machine, score: int, share: int, line: int) -> int:
    """Record that a score is divided by a table's entry for the token; returns the label of the shares."""
    number = len(m.events)
    m.events.append(SpreadEvent(number, m.place(line), score, share))
    return m.labels.bit(Spread(number))
