"""Python's own answers for operators on known values, within bounds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

FOLDABLE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "<<": operator.lshift, ">>": operator.rshift, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "**": operator.pow,
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "is": operator.is_, "is not": operator.is_not,
    "in": lambda item, container: item in container, "not in": lambda item, container: item not in container,
}  # fmt: skip
LARGEST_OPERAND = 1 << 70
LONGEST_TEXT = 4096
LARGEST_SHIFT = 128

UNKNOWN = object()


def fold(op: str, left: object, right: object) -> object:
    """Python's own answer for known operands, within bounds; ``UNKNOWN`` where it would be large or an error."""
    for side in (left, right):
        if (isinstance(side, int) and abs(side) > LARGEST_OPERAND) or (
            isinstance(side, str | bytes) and len(side) > LONGEST_TEXT
        ):
            return UNKNOWN
    if op in ("<<", "**") and isinstance(right, int | float) and abs(right) > LARGEST_SHIFT:
        return UNKNOWN
    if op in "*%" and (isinstance(left, str | bytes) or isinstance(right, str | bytes)):
        return UNKNOWN  # repeated text, and fields of any width
    try:
        return FOLDABLE[op](left, right)
    except (TypeError, ValueError, ArithmeticError, KeyError):
        return UNKNOWN
