"""How many bytes the reported score counts for a token: by the script's tables, or by a constant in their place."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pgaudit.engine.events import LookupEvent, ReportEvent, Spot
from pgaudit.engine.labels import Lookup
from pgaudit.engine.queries import scores_of
from pgaudit.engine.walk import Walk
from pgaudit.evidence.byte_tables.reach import relevant
from pgaudit.evidence.byte_tables.values import Lanes, Opaque, Undecided, is_number
from pgaudit.evidence.byte_tables.vocabulary import MARKER, PIECES, SAMPLED, official
from pgaudit.evidence.run import MAIN, Run
from pgaudit.program import ir

if TYPE_CHECKING:
    from pgaudit.evidence.byte_tables.machine import Machine

PLAUSIBLE = (2.0, 5.0)
"""Bytes per token of the tokenizers in use: 2.44 for 1,024 pieces, 4.07 for 16,384."""

ALMOST = 1e-4
"""Constants this close to a whole number may count something else (steps of accumulation, ranks)."""


class Cause(StrEnum):
    """What makes a token count too much."""

    TWICE = "its leading space is in the table and is added again"
    MARKER = "its space marker counts as more than the space that it stands for"
    SPELLING = "a byte token counts by its spelling"
    OTHER = "the table holds too much for it"


@dataclass(frozen=True, slots=True)
class Excess:
    """A token that counts more bytes than it stands for."""

    piece: str
    counted: float
    official: int
    entry: float
    """What the table holds for it; the rest is added where it is looked up."""
    written: Spot | None
    """Where that entry was written, if by itself."""

    @property
    def cause(self) -> Cause:
        """The likeliest mistake."""
        if self.piece.startswith("<"):
            return Cause.SPELLING
        if not self.piece.startswith(MARKER):
            return Cause.OTHER
        return Cause.TWICE if self.counted == self.entry + 1 == self.official + 1 else Cause.MARKER


@dataclass(frozen=True, slots=True)
class Count:
    """One way in which the script counts the bytes of its tokens."""

    lookups: frozenset[Spot]
    """Where the table of byte counts is read."""
    excesses: tuple[Excess, ...]
    """Sampled tokens that count too much; empty for a right count, and for one that is too small."""
    certain: bool = True
    """No byte side file may have been read in place of the table."""


def wrong_count(run: Run) -> Count | None:
    """The count behind the reported score if it is too large; ``None`` if it is not, or cannot be told.

    Where the print with the score is not known for certain, every count of the script has to be too large.
    """
    if run.score is None:
        return None
    reports = [run.score] if run.matched else run.walk.reports
    events = [event for report in reports for event in lookups_behind(run.walk, report)]
    spots = {event.place.spot for event in events}
    calls = {call for event in events for call in event.place.calls}
    found = [count for count in counts(run.modules, spots, calls) if not run.matched or count.lookups & spots]
    if not found or not spots or not all(count.excesses for count in found):
        return None
    return max(found, key=lambda count: len(count.excesses))


def constant_count(run: Run) -> float | None:
    """The constant number of bytes that the reported score takes every token for; ``None`` if there is none."""
    reports = [run.score] if run.matched and run.score else run.walk.reports
    if run.score is None or any(lookups_behind(run.walk, report) for report in reports):
        return None
    places = [run.score.place, *(event.place for event in scores_of(run.walk, run.score.labels))]
    near = {spot for place in places for spot in (*place.calls, place.spot)}
    return bytes_per_token(run.modules, run.score.place.spot, near)


def lookups_behind(walk: Walk, report: ReportEvent) -> list[LookupEvent]:
    """The lookups at tokens that a printed value depends on."""
    events = (walk.events[label.event] for label in walk.labels.of(report.labels, Lookup))
    return [event for event in events if isinstance(event, LookupEvent)]


def counts(
    modules: Mapping[str, ir.Module], lookups: Collection[Spot], calls: Iterable[Spot] = ()
) -> tuple[Count, ...]:
    """Every count of bytes that can be computed; ``lookups`` and the ``calls`` that lead there say where to look.

    A table of byte counts is indexed by the targets, which tells them from the tokens before them. Where flags were
    looked up first, the script is executed again with that known.
    """
    near = relevant(modules, [*lookups, *calls])
    try:
        seen = _executed(modules, near)
        if seen.targets & seen.others:
            seen = _executed(modules, near, seen.targets)
    except (Undecided, RecursionError):
        return ()
    return tuple(Count(counted.spots, _excesses(counted), counted.certain) for counted in seen.counted)


def bytes_per_token(modules: Mapping[str, ir.Module], report: Spot, near: Iterable[Spot]) -> float | None:
    """The constant that turns nats per token into the bits per byte printed at ``report``, if it can be one.

    By constants alone a loss in nats is multiplied by ``1 / (ln 2 · bytes)``.
    """
    try:
        seen = _executed(modules, relevant(modules, [report, *near]), report=report)
    except (Undecided, RecursionError):
        return None
    found = {round(1 / (factor * math.log(2)), 6) for factor in seen.scales if factor > 0}
    if len(found) != 1:
        return None
    (constant,) = found
    whole = any(abs(value - round(value)) < ALMOST for value in (constant, constant * math.log(2)))
    return None if whole or not PLAUSIBLE[0] < constant < PLAUSIBLE[1] else constant


def _executed(
    modules: Mapping[str, ir.Module],
    near: frozenset[ir.Node],
    targets: Iterable[Opaque] = (),
    report: Spot | None = None,
) -> Machine:
    from pgaudit.evidence.byte_tables.machine import Machine  # it needs libcst, a fifth of a second

    machine = Machine(modules, near, targets, report)
    machine.enter(MAIN, MAIN)
    for name in modules:
        machine.enter(name, MAIN)
    return machine


def _excesses(counted: Lanes) -> tuple[Excess, ...]:
    """What counts too much, if nothing counts too little: a count that is wrong both ways may be too small as a whole."""
    table = counted.table
    assert table is not None
    found: dict[int, Excess] = {}
    for (token, _), value in zip(SAMPLED, counted.values, strict=True):
        entry = table.items[token]
        if not is_number(value) or not is_number(entry):
            continue
        if value < official(token):
            return ()
        if value > official(token):
            spot = table.spots[token] if table.spots else None
            found.setdefault(token, Excess(PIECES[token], value, official(token), entry, spot))
    return tuple(found.values())
