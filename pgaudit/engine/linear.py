"""Linear forms over unknown integers: enough arithmetic to tell ``tokens[s:e]`` from ``tokens[s + 1:e + 1]``."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TERMS = 6
"""Longer forms are dropped: no address in a real script needs more, and loops could build them without end."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``constant + Σ coefficient · symbol``; a symbol is the number of a value that is not known."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()
    """(symbol, coefficient) in order of symbols, no zero coefficients."""

    def plus(self, other: Linear, sign: int = 1) -> Linear | None:
        """``self + sign · other``."""
        if not other.terms:
            return Linear(self.constant + sign * other.constant, self.terms)
        terms = dict(self.terms)
        for symbol, coefficient in other.terms:
            terms[symbol] = terms.get(symbol, 0) + sign * coefficient
        kept = tuple(sorted((s, c) for s, c in terms.items() if c))
        return Linear(self.constant + sign * other.constant, kept) if len(kept) <= MAX_TERMS else None

    def times(self, factor: int) -> Linear:
        """``factor · self``."""
        return Linear(self.constant * factor, tuple((s, c * factor) for s, c in self.terms) if factor else ())


ZERO = Linear(0)


def distance(start: Linear | None, end: Linear | None) -> int | None:
    """``end - start`` where it is a known number, else ``None``."""
    if start is None or end is None:
        return None
    difference = end.plus(start, -1)
    return difference.constant if difference is not None and not difference.terms else None
