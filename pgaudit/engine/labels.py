"""Labels: what a value depends on. Interned to bits, so that a set of labels is one integer and a union is one ``|``."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from pgaudit.engine.linear import Linear


class Iteration(NamedTuple):
    """The value was made from the variable of a loop, in the iteration at ``position``."""

    loop: int
    position: int


class Token(NamedTuple):
    """Token ids from a data file: which slice of the stream, by the loop iterations that its bounds depend on."""

    origin: str
    """``val``, ``train``, or the path that could not be told apart."""
    tags: frozenset[Iteration]
    start: Linear | None
    """Stream position of the first element, where known."""
    end: Linear | None = None
    """Stream position behind the last element, where known."""
    cap: int | None = None
    """The whole stream was cut to so many tokens before."""


class Activation(NamedTuple):
    """What a network computed from those tokens."""

    origin: str
    tags: frozenset[Iteration]
    start: Linear | None
    end: Linear | None = None


class Score(NamedTuple):
    """The loss of the targets of a score event; ``start``/``end`` bound the positions within each window."""

    event: int
    start: Linear | None
    end: Linear | None


class Update(NamedTuple):
    """State that was changed by an update event."""

    event: int


class Lookup(NamedTuple):
    """The result of a table lookup event."""

    event: int


class Depends(NamedTuple):
    """Differentiable dependence on the trainable state of a cell (a network, or a tensor given to an optimiser)."""

    cell: int


class Artifact(NamedTuple):
    """Read back from a file that the script wrote."""

    path: str


class Unset(NamedTuple):
    """Decided by the code's own off-default of a setting that no source sets."""

    setting: str


class Bytes(NamedTuple):
    """The byte lengths of tokens, from a file that stands beside the shards."""

    path: str


class Decided(NamedTuple):
    """Chosen by a comparison of scores."""

    event: int


class Stacked(NamedTuple):
    """One of the alternatives that a stack event put side by side."""

    event: int


class Spread(NamedTuple):
    """A share of the score that a spread event divided."""

    event: int


class Mixed(NamedTuple):
    """A sum over the alternatives of a stack event, or a probability made of the shares of a spread event."""

    event: int


class Clock(NamedTuple):
    """Read from a clock."""


Label = (
    Iteration
    | Token
    | Activation
    | Score
    | Update
    | Lookup
    | Depends
    | Artifact
    | Unset
    | Bytes
    | Decided
    | Stacked
    | Spread
    | Mixed
    | Clock
)
Kind = TypeVar(
    "Kind",
    Iteration,
    Token,
    Activation,
    Score,
    Update,
    Lookup,
    Depends,
    Artifact,
    Unset,
    Bytes,
    Decided,
    Stacked,
    Spread,
    Mixed,
    Clock,
)


KINDS = (
    Iteration, Token, Activation, Score, Update, Lookup, Depends, Artifact, Unset, Bytes, Decided, Stacked, Spread, Mixed, Clock
)  # fmt: skip


class LabelTable:
    """The bits of one walk. Sets of labels are plain integers; ``0`` is the empty set."""

    def __init__(self) -> None:
        self._bits: dict[tuple[type, Label], int] = {}  # named tuples of two kinds may be equal
        self._labels: list[Label] = []
        self._masks: dict[type, int] = dict.fromkeys(KINDS, 0)

    def bit(self, label: Label) -> int:
        """The bit of a label, a new one on first sight."""
        key = type(label), label
        bit = self._bits.get(key)
        if bit is None:
            bit = 1 << len(self._labels)
            self._bits[key] = bit
            self._labels.append(label)
            self._masks[type(label)] |= bit
        return bit

    def mask(self, *kinds: type) -> int:
        """All bits of the given kinds so far."""
        mask = 0
        for kind in kinds:
            mask |= self._masks[kind]
        return mask

    def addresses(self, labels: int) -> list[Token | Activation]:
        """The tokens of a set, then what networks made of tokens."""
        return [*self.of(labels, Token), *self.of(labels, Activation)]

    def of(self, labels: int, kind: type[Kind]) -> list[Kind]:
        """The labels of one kind in a set, oldest first."""
        found = []
        rest = labels & self._masks[kind]
        while rest:
            low = rest & -rest
            found.append(self._labels[low.bit_length() - 1])
            rest ^= low
        return found  # type: ignore[return-value]  # the mask holds labels of this kind only
