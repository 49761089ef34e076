"""How many bytes a script counts for each sampled token, and what else it divides its score by."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pgaudit.engine.events import Spot
from pgaudit.evidence.byte_tables.machine import Machine
from pgaudit.evidence.byte_tables.reach import relevant
from pgaudit.evidence.byte_tables.values import Lanes, Undecided, is_number
from pgaudit.evidence.byte_tables.vocabulary import PIECES, SAMPLED, official
from pgaudit.program import ir

MAIN = "__main__"


@dataclass(frozen=True, slots=True)
class Excess:
    """A sampled token for which a table makes the script count too many bytes."""

    piece: str
    counted: float
    official: int
    written: Spot | None
    """Where the table's entry was written, if by itself."""
    entry: float
    """What the table holds for it."""
    lookup: Spot


def too_many(
    modules: Mapping[str, ir.Module], lookups: Collection[Spot], calls: Collection[Spot] = ()
) -> tuple[Excess, ...]:
    """Sampled tokens that count too many bytes at one of the given lookups; empty where that cannot be told.

    ``calls`` are lines that lead there. The script is executed twice on unknown data: byte tables are what is indexed
    by the target, which tells the targets from the tokens before them on the second round.
    """
    near = relevant(modules, [*lookups, *calls])
    try:
        first = _execute(Machine(modules, near))
        if not first.indices:
            return ()
        second = _execute(Machine(modules, near, frozenset(first.indices)))
    except (Undecided, RecursionError):
        return ()
    wrong = [_excesses(counted) for counted in second.counted if counted.spots & set(lookups)]
    found = [excesses for excesses in wrong if excesses]
    return found[-1] if found else ()


def bytes_per_token(
    modules: Mapping[str, ir.Module], report: Spot, calls: Collection[Spot]
) -> float | None:
    """The constant number of bytes that the metric printed at ``report`` takes every token for, if there is one.

    A loss in nats that becomes bits per byte by constants alone was multiplied by ``1 / (ln 2 · bytes)``.
    """
    try:
        seen = _execute(Machine(modules, relevant(modules, [report, *calls]), report=report))
    except (Undecided, RecursionError):
        return None
    found = {round(1 / (factor * math.log(2)), 6) for factor in seen.scales if factor > 0}
    return found.pop() if len(found) == 1 else None


def _execute(machine: Machine) -> Machine:
    machine.enter(MAIN, MAIN)
    for name in machine.modules:
        machine.enter(name, MAIN)
    return machine


def _excesses(counted: Lanes) -> tuple[Excess, ...]:
    table = counted.table
    assert table is not None
    found = []
    for token, value in zip(SAMPLED, counted.values, strict=True):
        entry = table.items[token]
        if is_number(value) and is_number(entry) and value > official(token):
            spot = table.spots[token] if table.spots else None
            found.append(Excess(PIECES[token], value, official(token), spot, entry, min(counted.spots)))
    return tuple(found)
