"""Strings of which only parts are known: paths, file patterns and log lines, with ``\\0`` for each unknown part."""

from __future__ import annotations

from pgaudit.engine.values import Const, Data, Value

LONGEST = 2000
MOST_BITS = 8192
"""Longer integers are not written out: Python refuses to."""


def text_of(value: Value) -> str:
    """The text of a value inside a longer string."""
    if isinstance(value, Const):
        huge = isinstance(value.value, int) and value.value.bit_length() > MOST_BITS
        return "\0" if huge else str(value.value)[:LONGEST]
    if isinstance(value, Data) and value.text is not None:
        return value.text
    return "\0"


def join_text(op: str, left: Value, right: Value) -> str | None:
    """``left + right``, ``left / right`` (paths) or ``left % right`` where one side is a partly known string."""
    if not (_textual(left) or _textual(right)) or (op == "%" and not _textual(left)):
        return None
    if op == "%":
        return "\0" if not isinstance(left, Const) else str(left.value)
    separator = "/" if op == "/" else ""
    return (text_of(left) + separator + text_of(right))[:LONGEST]


def text_value(text: str, labels: int = 0) -> Value:
    """A string value: known unless it has an unknown part."""
    return Data(labels, scalar=True, text=text) if "\0" in text else Const(text, labels)


def _textual(value: Value) -> bool:
    return (isinstance(value, Const) and isinstance(value.value, str)) or (
        isinstance(value, Data) and value.text is not None
    )
