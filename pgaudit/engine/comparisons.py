"""Comparisons: their answers where they are known, and what the answers rest on where they are not."""

from __future__ import annotations

from pgaudit.engine.folding import UNKNOWN, fold
from pgaudit.engine.labels import Activation, Clock, Decided, Lookup, Score
from pgaudit.engine.machine import Machine
from pgaudit.engine.values import Const, Data, Either, External, Mapping, Sequence, Value

ORDERS = frozenset({"<", "<=", ">", ">="})
"""Comparisons of size."""


def compared(m: Machine, *values: Value) -> int:
    """A comparison keeps which scores, lookups and activations it rests on; it selects elements, so tokens stay as they are.

    What validation scores choose (a checkpoint, an average) is chosen by the score, not set from activations.
    """
    content = m.union(values)
    kept = (Score, Lookup, Decided) if content & m.labels.mask(Score) else (Lookup, Decided, Activation)
    return content & m.labels.mask(*kept)


def answer_of(m: Machine, op: str, left: Value, right: Value) -> bool | None:
    """What a comparison answers; ``None`` where that is not known."""
    if type(left) is Const and type(right) is Const:
        folded = fold(op, left.value, right.value)
        return None if folded is UNKNOWN else bool(folded)
    if op in ("is", "is not"):
        return _identity(op, left, right)
    if type(left) is Data and left.positive:
        return _against_positive(op, right)
    if op in ("in", "not in") and type(left) is Const:
        return _membership(m, op, left, right)
    return None


def note_limit(m: Machine, left: Value, right: Value, line: int) -> None:
    """A clock against a number is a limit of time."""
    for elapsed, bound in ((left, right), (right, left)):
        if type(bound) is Const and isinstance(bound.value, int | float) and elapsed.labels & m.labels.mask(Clock):
            m.limit(bound.value, line)


BUILTIN = "builtins."
YES = "1"


def _against_positive(op: str, right: Value) -> bool | None:
    """A setting that is on (as a number: above zero) against a constant; ``None`` where that depends on its value."""
    if op in ("in", "not in") and isinstance(right, Sequence):
        texts = [item.value for item in right.store.items if isinstance(item, Const)]
        return (YES in texts) is (op == "in") if texts else None
    if type(right) is not Const:
        return None
    if isinstance(right.value, str) and op in ("==", "!="):
        return (right.value == YES) is (op == "==")
    if isinstance(right.value, int | float) and right.value <= 0:
        return op in (">", ">=", "!=")
    return None


def _identity(op: str, left: Value, right: Value) -> bool | None:
    if isinstance(left, External) and isinstance(right, External):
        if left.name == right.name:
            return op == "is"
        # Libraries have several names for one thing (``torch.float``); Python's own types have one each.
        return op == "is not" if left.name.startswith(BUILTIN) and right.name.startswith(BUILTIN) else None
    if isinstance(left, Const) and not isinstance(right, Const):
        left, right = right, left
    if isinstance(right, Const) and right.value is None:
        options = left.options if isinstance(left, Either) else [left]
        nones = {isinstance(option, Const) and option.value is None for option in options}
        if len(nones) == 1 and not isinstance(left, Data):
            return nones.pop() is (op == "is")
        if isinstance(left, Data):
            return op == "is not"
    return None


def _membership(m: Machine, op: str, left: Const, right: Value) -> bool | None:
    found: bool | None = None
    if isinstance(right, External) and right.name == "os.environ":
        found = left.value in m.environment
    elif isinstance(right, Mapping):
        found = (
            True if left.value in right.entries else None if right.rest is not None or right.keys is not None else False
        )
    elif isinstance(right, Sequence):
        items = right.store.items
        if any(isinstance(item, Const) and item.value == left.value for item in items):
            found = True
        elif right.store.rest is None and all(isinstance(item, Const) for item in items):
            found = False
    return None if found is None else found is (op == "in")
