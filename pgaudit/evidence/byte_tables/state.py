"""The state of one evaluation: numbers of unknown values, the budget, and the counts that were seen to be used."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pgaudit.engine.events import Spot
from pgaudit.evidence.byte_tables.values import External, Frame, Lanes, Opaque, Table, Undecided, is_number
from pgaudit.evidence.byte_tables.vocabulary import SAMPLED, TELLING, official
from pgaudit.source.evaluator.codecs import Undecodable
from pgaudit.source.evaluator.operators import FAULTS, MAX_ITEMS, repeated

MAX_STEPS = 150_000
"""Expressions that are evaluated for one script; official tables take a tenth of it."""

MAX_BITS = 256
"""Of whole numbers that are computed with."""

MOST_MEMBERS = 64
"""Of a list that is looked through for something unknown before it is compared or searched."""

SMALL = 0.01
"""A constant that is added to a score in bits changes nothing of its scale."""


class State:
    """What expressions and statements share."""

    def __init__(self, targets: Iterable[Opaque] = ()) -> None:
        self.targets = set(targets)
        """What byte tables are looked up at: the tokens that are scored."""
        self.others: set[Opaque] = set()
        """What flags were looked up at before it was known to be a target, if it is one."""
        self.counted: list[Lanes] = []
        """Bytes of each sampled token as they enter a sum, a call or an unknown value."""
        self.frame = Frame("", {})
        self.spot: Spot = ("", 0)
        self.uncertain = 0
        """How many conditions that are not known stand around what is executed."""
        self.complete = 0
        """Loops around it that run in full."""
        self._numbers: dict[Any, int] = {}
        self._left = MAX_STEPS

    def charge(self, value: Any = None) -> None:
        """Pay for one expression, and for its value by its size. Raises ``Undecided``."""
        self._left -= 1
        if isinstance(value, str | bytes | list | tuple | dict | set):
            self._left -= len(value) // 64
        if self._left < 0:
            raise Undecided

    def opaque(self, *key: Any, factor: float = 1.0) -> Opaque:
        """The unknown value that is computed in this way."""
        found = tuple(self._key(part) for part in key)
        return Opaque(self._numbers.setdefault(found, len(self._numbers)), factor)

    def fresh(self) -> Opaque:
        """An unknown value like no other."""
        return self.opaque(len(self._numbers), "fresh")

    def _key(self, part: Any) -> Any:
        if isinstance(part, tuple | list):
            return tuple(self._key(item) for item in part)
        if isinstance(part, Opaque | External | str | bytes | int | float | None):
            return type(part), part
        return id(part), type(part)

    def use(self, value: Any) -> None:
        """A value leaves for where it is not followed: a call, a file, a number that is not known."""
        if isinstance(value, Lanes) and value.table is not None and value.summed:
            self.counted.append(value)
        elif isinstance(value, tuple | list) and len(value) < len(SAMPLED) * 2:
            for item in value:
                self.use(item)

    def look_up(self, table: Table, index: Opaque) -> Lanes:
        """What a table holds for the sampled tokens, or for the token before them."""
        counts = not table.boolean and all(table.items[place] == official(place) for place in TELLING)
        if counts:
            self.targets.add(index)
        elif index not in self.targets:
            self.others.add(index)
        scored = index in self.targets
        values = tuple(table.items[token if scored else before] for token, before in SAMPLED)
        return Lanes(values, table, frozenset({self.spot})) if counts else Lanes(values)

    def join(self, one: Any, other: Any) -> Any:
        """The value after two branches; a branch that had nothing to give does not count."""
        if one is other or one is None or other is None:
            return other if one is None else one
        for side, unknown in ((one, other), (other, one)):
            if isinstance(side, Lanes) and side.table is not None and isinstance(unknown, Opaque):
                return replace(side, certain=False)  # by the table, or else from a byte side file
        if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
            return tuple(self.join(*pair) for pair in zip(one, other, strict=True))
        if type(one) is type(other) and isinstance(one, Opaque | External | str | int | float | bytes) and one == other:
            return one
        return self.opaque("join", one, other)

    # --- arithmetic ------------------------------------------------------------------------------------------------

    def binary(self, op: str, left: Any, right: Any) -> Any:
        """``left op right``."""
        function = ARITHMETIC.get(op)
        if function is None:
            return self.opaque(op, left, right)
        for side, other in ((left, right), (right, left)):
            if isinstance(side, Lanes) and not is_number(other) and not isinstance(other, Lanes):
                self.use(side.total() if op == "+" else side)
                return self.opaque(op, left, right)
        if isinstance(left, Lanes | Table) or isinstance(right, Lanes | Table):
            return self.elementwise(function, left, right)
        if isinstance(left, Opaque) or isinstance(right, Opaque):
            return self._scaled(op, left, right)
        return self.compute(function, left, right)

    def elementwise(self, function: Callable[..., Any], *operands: Any) -> Any:
        """A function of each element of the arrays among the operands."""
        array = next(side for side in operands if isinstance(side, Lanes | Table))
        if any(not isinstance(side, type(array)) and not is_number(side) for side in operands):
            return self.opaque("elementwise", *operands)
        if isinstance(array, Table) and len({len(side.items) for side in operands if isinstance(side, Table)}) > 1:
            return self.opaque("elementwise", *operands)

        def on_items(first: Any, *rest: Any) -> Any:
            return self.compute(function, *order(first, rest))

        at = operands.index(array)

        def order(first: Any, rest: tuple[Any, ...]) -> list[Any]:
            return [*rest[:at], first, *rest[at:]]

        return array.map(on_items, *operands[:at], *operands[at + 1 :])

    def compute(self, function: Callable[..., Any], *operands: Any) -> Any:
        """A pure function of known values; unknown where it fails or one of them is not known."""
        if any(map(_is_unknown, operands)):
            return self.opaque("compute", getattr(function, "__name__", ""), *operands)
        try:
            return function(*operands)
        except FAULTS:
            return self.fresh()

    def _scaled(self, op: str, left: Any, right: Any) -> Opaque:
        """Arithmetic on unknown numbers, keeping what they were multiplied by."""
        factors = [self._factor(left), self._factor(right)]
        roots = [Opaque(side.number) if isinstance(side, Opaque) else 1 for side in (left, right)]
        if op == "*":
            factor = factors[0] * factors[1]
            known = [root for root in roots if isinstance(root, Opaque)]
            return Opaque(known[0].number, factor) if len(known) == 1 else self.opaque("*", *roots, factor=factor)
        if op == "/" and factors[1]:
            factor = factors[0] / factors[1]
            if isinstance(left, Opaque) and not isinstance(right, Opaque) and is_number(right):
                return Opaque(left.number, factor)
            return self.opaque("/", *roots, factor=factor)
        shifted = [side for side in (left, right) if is_number(side) and abs(side) <= SMALL]
        same = isinstance(left, Opaque) and isinstance(right, Opaque) and left.factor == right.factor
        if op in ("+", "-") and (shifted or same):
            kept = left if isinstance(left, Opaque) else right
            return self.opaque(op, *roots, factor=kept.factor)
        return self.opaque(op, left, right)

    def _factor(self, side: Any) -> float:
        if isinstance(side, Opaque):
            return side.factor
        return float(side) if is_number(side) and abs(side) < 1e300 else 1.0


def _is_unknown(value: Any) -> bool:
    """Not known, or a short list of which something is not."""
    if isinstance(value, list | tuple | set) and len(value) <= MOST_MEMBERS:
        return any(isinstance(item, Opaque | External) for item in value)
    return isinstance(value, Opaque | External)


def _bounded(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operation on numbers of ordinary size, or on texts and lists."""

    def guarded(left: Any, right: Any) -> Any:
        for side in (left, right):
            if isinstance(side, int) and side.bit_length() > MAX_BITS:
                raise Undecodable("computes with a very large number")
        return function(left, right)

    return guarded


def _multiply(left: Any, right: Any) -> Any:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | bytes | list | tuple):
            return repeated(sequence, times)
    return left * right


def _power(left: Any, right: Any) -> Any:
    if abs(right) > MAX_BITS:
        raise Undecodable("computes with a very large number")
    return left**right


def _shift(left: int, right: int) -> int:
    if right > MAX_BITS:
        raise Undecodable("computes with a very large number")
    return left << right


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes | list | tuple) and len(left) + len(right) > MAX_ITEMS:
        raise Undecodable("joins too much")
    return left + right


def _modulo(left: Any, right: Any) -> Any:
    if not is_number(left):
        raise Undecodable("formats")
    return left % right


ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    op: _bounded(function)
    for op, function in {
        "+": _add,
        "-": operator.sub,
        "*": _multiply,
        "/": operator.truediv,
        "//": operator.floordiv,
        "%": _modulo,
        "**": _power,
        "<<": _shift,
        ">>": operator.rshift,
        "&": operator.and_,
        "|": operator.or_,
        "^": operator.xor,
    }.items()
}
COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda item, container: item in container,
    "not in": lambda item, container: item not in container,
}


def inverted(value: Any) -> Any:
    """``~value`` as arrays have it: of a truth value, the other one."""
    return not value if isinstance(value, bool) else ~value
