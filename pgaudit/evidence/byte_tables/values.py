"""What byte tables are computed with: arrays over the vocabulary, counts of the sampled tokens, and what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pgaudit.engine.events import Spot
from pgaudit.evidence.byte_tables.vocabulary import SIZE
from pgaudit.program import ir


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that is not known, by number: the same computation on the same values has the same number."""

    number: int
    factor: float = 1.0
    """What a number of this kind was multiplied by on the way."""


@dataclass(frozen=True, slots=True)
class External:
    """A thing of a library by its dotted name (``torch.zeros``)."""

    path: str


@dataclass(slots=True, eq=False)
class Table:
    """An array by token. Entries whose value is not known are ``Opaque``."""

    items: list[Any]
    boolean: bool = False
    spots: list[Spot | None] = field(default_factory=list)
    """Where each entry was written; empty if nowhere but in its making."""

    def store(self, place: int, value: Any, spot: Spot) -> None:
        """``table[place] = value``."""
        self.spots = self.spots or [None] * len(self.items)
        self.items[place] = cast(value, self.boolean)
        self.spots[place] = spot

    def map(self, function: Callable[..., Any], *others: Any) -> Table:
        """A table with the function of each entry, and of the entries of tables of the same size."""
        columns = [other.items if isinstance(other, Table) else [other] * len(self.items) for other in others]
        items = [function(*row) for row in zip(self.items, *columns, strict=True)]
        return Table(items, bool(items) and isinstance(items[0], bool), self.spots)


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """Something that was looked up for each of the sampled tokens, all of them scored at once."""

    values: tuple[Any, ...]
    table: Table | None = None
    """The table of byte counts that it comes from; ``None`` for flags."""
    spots: frozenset[Spot] = frozenset()
    """The lookups in that table."""
    summed: bool = False
    """It was added up over positions: a count, and not a property of each token."""
    certain: bool = True
    """No other source may stand in for the table: a byte side file, say."""

    def total(self) -> Lanes:
        """The sum over all positions; each sampled token stays apart."""
        return replace(self, summed=True)

    def map(self, function: Callable[..., Any], *others: Any) -> Lanes:
        """Lane by lane; the byte counts of the first operand that has any."""
        columns = [other.values if isinstance(other, Lanes) else [other] * len(self.values) for other in others]
        sides = [self, *(other for other in others if isinstance(other, Lanes))]
        table = next((side.table for side in sides if side.table), None)
        spots = frozenset().union(*(side.spots for side in sides))
        values = tuple(function(*row) for row in zip(self.values, *columns, strict=True))
        certain = all(side.certain for side in sides)
        return Lanes(values, table, spots, any(side.summed for side in sides), certain)


@dataclass(slots=True, eq=False)
class Frame:
    """The names of a module, function or class body."""

    module: str
    names: dict[str, Any]
    outer: Frame | None = None
    shared: dict[str, Frame] = field(default_factory=dict)
    """Names declared ``global`` or ``nonlocal``, with the frame that has them."""
    returns: list[Any] = field(default_factory=list)
    """Values returned on a branch that may not have been taken."""

    @property
    def top(self) -> Frame:
        """The frame of the module."""
        return self.outer.top if self.outer else self


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the script, bound to ``receiver`` if it is a method."""

    node: ir.Function
    frame: Frame
    receiver: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """A class of the script."""

    node: ir.Class
    attributes: Mapping[str, Any]

    def find(self, name: str) -> Any:
        """An attribute, ``None`` if the class itself has no such one."""
        return self.attributes.get(name)


@dataclass(slots=True, eq=False)
class Instance:
    """An object of a class of the script, or a bag of attributes."""

    cls: Class | None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of something that is not an object of the script."""

    receiver: Any
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """``range(start, stop)`` up to an unknown number."""

    start: int


class Undecided(Exception):
    """The script does something on its way to the tables that is not modelled."""


def cast(value: Any, boolean: bool) -> Any:
    """An entry of an array of truth values is one."""
    return bool(value) if boolean and isinstance(value, int | float) else value


def is_number(value: Any) -> bool:
    """A Python number, truth values included."""
    return isinstance(value, int | float)


def as_table(value: Any) -> Table | None:
    """A table, or a list or dict that serves as one: an entry for every token of the sample vocabulary."""
    if isinstance(value, Table):
        return value if len(value.items) >= SIZE else None
    if isinstance(value, list | tuple):
        return Table(list(value)) if len(value) >= SIZE else None
    if isinstance(value, dict):
        return Table([value[token] for token in range(SIZE)]) if _is_complete(value) else None
    return None


def _is_complete(entries: Iterable[Any]) -> bool:
    return set(range(SIZE)) <= set(entries)
