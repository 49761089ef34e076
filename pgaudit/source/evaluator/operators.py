"""Operators on constants, bounded so that no script can make them take long or grow without limit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import libcst as cst

from pgaudit.source.evaluator.codecs import MAX_OUTPUT, Undecodable
from pgaudit.source.evaluator.values import Known, Unknown, Value

MAX_ITEMS = 1_000_000
"""Elements of a list, tuple or dict."""

_MAX_BITS = 1 << 16
"""Of a factor, a dividend or a divisor: their cost is in the square of the length."""

FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError, Undecodable)
"""What a constant operation may raise on values that a script made up."""

Operation = Callable[..., Any]


def combine(operation: Operation, *operands: Value) -> Value:
    """Apply a pure operation; the result keeps the history of the first operand that has one."""
    steps: tuple[str, ...] = ()
    for operand in operands:
        if isinstance(operand, Unknown):
            return operand
        steps = steps or operand.steps
    try:
        data = operation(*(operand.data for operand in operands if isinstance(operand, Known)))
    except FAULTS as error:
        inside = (item for operand in operands for item in _members(operand) if isinstance(item, Unknown))
        return next(inside, None) or Unknown(str(error) or type(error).__name__, payload=bool(steps))
    return data if isinstance(data, Unknown) else Known(data, steps)


def apply(function: Operation, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
    """Call a pure function with positional and keyword arguments; see ``combine``."""
    names, count = tuple(options), len(arguments)

    def call(*data: Any) -> Any:
        return function(*data[:count], **dict(zip(names, data[count:], strict=True)))

    return combine(call, *arguments, *options.values())


def _members(value: Value) -> Iterable[Any]:
    data = value.data if isinstance(value, Known) else None
    return data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else ()


def _size(data: Any) -> int:
    """Of text in bytes, of containers in bytes at 32 an element, so that one bound does for both."""
    return len(data) * (1 if isinstance(data, str | bytes) else MAX_OUTPUT // MAX_ITEMS)


def repeated(sequence: Any, times: int) -> Any:
    """``sequence * times``."""
    if _size(sequence) * times > MAX_OUTPUT:
        raise Undecodable("repeats a constant too often")
    return sequence * times


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes | list | tuple) and _size(left) + _size(right) > MAX_OUTPUT:
        raise Undecodable("joins too much")
    return left + right


def _multiply(left: Any, right: Any) -> Any:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, str | bytes | list | tuple):
            return repeated(sequence, times)
    return _short(operator.mul)(left, right)


def _left_shift(left: int, right: int) -> int:
    if right > _MAX_BITS:
        raise Undecodable("computes with a very large number")
    return left << right


def _short(operation: Operation) -> Operation:
    """The operation on numbers that are not too long for it."""

    def guarded(left: Any, right: Any) -> Any:
        for number in (left, right):
            if not isinstance(number, int | float) or (isinstance(number, int) and number.bit_length() > _MAX_BITS):
                raise Undecodable("computes with something else than short numbers")
        return operation(left, right)

    return guarded


def _divide(left: Any, right: Any) -> Any:
    return left / right if isinstance(left, PurePosixPath) else _short(operator.truediv)(left, right)


BINARY: Mapping[type[cst.BaseBinaryOp], Operation] = {
    cst.Add: _add,
    cst.Subtract: operator.sub,
    cst.Multiply: _multiply,
    cst.Divide: _divide,
    cst.Modulo: _short(operator.mod),
    cst.FloorDivide: _short(operator.floordiv),
    cst.BitXor: operator.xor,
    cst.BitAnd: operator.and_,
    cst.BitOr: operator.or_,
    cst.LeftShift: _left_shift,
    cst.RightShift: operator.rshift,
}
UNARY: Mapping[type[cst.BaseUnaryOp], Operation] = {
    cst.Minus: operator.neg,
    cst.Plus: operator.pos,
    cst.Not: operator.not_,
    cst.BitInvert: operator.invert,
}
COMPARE: Mapping[type[cst.BaseCompOp], Operation] = {
    cst.Equal: operator.eq,
    cst.NotEqual: operator.ne,
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
    cst.Is: operator.eq,
    cst.IsNot: operator.ne,
    cst.In: lambda item, container: item in container,
    cst.NotIn: lambda item, container: item not in container,
}
