"""Events: what happened during the walk, in order. A trace is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from pgaudit.engine.linear import Linear
from pgaudit.engine.values import Value

Spot = tuple[str, int]
"""Module name and line."""
Loops = tuple[tuple[int, int, int], ...]
"""Enclosing loops, outermost first: (loop, execution of the loop, iteration)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and inside what an event happened."""

    spot: Spot
    calls: tuple[Spot, ...]
    """Call sites that lead here, outermost first."""
    loops: Loops


@dataclass(slots=True)
class ScoreEvent:
    """The loss of some targets was computed."""

    number: int
    place: Place
    targets: int
    """Token labels of the targets."""
    state: int
    """Labels of the predictor: activations and the updates that its state carries."""


@dataclass(slots=True)
class UpdateEvent:
    """State changed, using validation tokens; or was set from statistics of any tokens."""

    number: int
    place: Place
    what: str
    """``step`` (optimiser), ``write`` (in place), ``fit`` (from statistics, without a loss), ``count`` (table)."""
    uses: int
    """Labels that went into the change: scores, activations, tokens."""
    fresh: bool
    """The state is a tensor made by the evaluation itself, not a network."""


@dataclass(slots=True)
class LookupEvent:
    """A table was read at a place that depends on tokens."""

    number: int
    place: Place
    components: tuple[int, ...]
    """Token labels of each index component."""
    table: int
    """Labels of the table's content."""
    source: Value
    """The table itself: what it holds when the walk has ended tells counts from fixed properties."""
    stored: Linear | None = None
    """Where the iteration that looked it up stored the result."""
    taken: Linear | None = None
    """Where the first slice of what was stored starts, beside which tokens are scored."""


@dataclass(slots=True)
class ReportEvent:
    """Something was printed or logged."""

    number: int
    place: Place
    template: str
    """The text, with ``\\0`` for each value that is not known."""
    labels: int
    holes: tuple[int, ...] = ()
    """Labels of each of those values, where they could be told apart."""


@dataclass(slots=True)
class ChoiceEvent:
    """Scores were compared, or the smaller of two was taken; or tokens were compared with stored ones."""

    number: int
    place: Place
    sides: tuple[int, int]
    """Score and lookup labels of each side; of a match, the tokens and the file."""
    smaller: bool = False
    """The smaller of both sides was taken."""
    cleared: bool = False
    """A loss was set to zero where it holds."""
    emitted: bool = False
    """What it decided was written out for the iteration in which it was made."""


@dataclass(slots=True)
class StackEvent:
    """Alternatives were put side by side."""

    number: int
    place: Place
    parts: tuple[int, ...]
    """Labels of each."""


@dataclass(slots=True)
class SpreadEvent:
    """A score was divided by a property of the scored token: its number of bytes."""

    number: int
    place: Place
    score: int
    """Labels of what was divided."""
    share: int
    """Labels of what it was divided by."""


Event = ScoreEvent | UpdateEvent | LookupEvent | ChoiceEvent | StackEvent | SpreadEvent | ReportEvent
