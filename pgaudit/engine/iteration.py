"""What a loop iterates over: which elements are walked, and under which iteration label."""

from __future__ import annotations

from typing import NamedTuple

from pgaudit.engine.labels import Iteration
from pgaudit.engine.linear import ZERO
from pgaudit.engine.machine import Machine
from pgaudit.engine.values import (
    Const,
    Data,
    Either,
    Mapping,
    Range,
    Sequence,
    Value,
    Zipped,
    join,
)

ALL_WALKED = 3
"""Known loops of at most this many iterations are walked in full; of longer ones the first, the second and the last."""


class Sample(NamedTuple):
    """The iterations of a loop that are walked."""

    items: list[tuple[int, Value]]
    """(index, element) in order."""
    exact: bool
    """Every iteration is there."""


def elements(m: Machine, source: Value, loop: int, limit: int = ALL_WALKED) -> Sample:
    """The iterations to walk of a loop (numbered ``loop``) over ``source``; all of them if there are at most ``limit``."""
    length = known_length(source)
    if length is None:
        return Sample([(0, element(m, source, 0, loop)), (1, element(m, source, 1, loop))], False)
    indices = range(length) if length <= limit else (0, 1, length - 1)
    return Sample([(index, element(m, source, index, loop)) for index in indices], length <= limit)


def known_length(source: Value) -> int | None:
    """The number of elements, where it is known."""
    if isinstance(source, Const) and isinstance(source.value, range):
        return _count(source.value)
    if isinstance(source, Const) and isinstance(source.value, str | bytes):
        return len(source.value)
    if isinstance(source, Sequence) and source.store.rest is None:
        return len(source.store.items)
    if isinstance(source, Mapping) and source.rest is None:
        return len(source.entries)
    if isinstance(source, Zipped):
        lengths = [length for part in source.sources if (length := known_length(part)) is not None]
        endless = [part for part in source.sources if isinstance(part, Range) and part.stop is part.start]
        if lengths and len(lengths) + len(endless) == len(source.sources):
            return min(lengths)
    return None


def _count(values: range) -> int | None:
    try:
        return len(values)
    except OverflowError:  # more than a machine word counts
        return None


def element(m: Machine, source: Value, index: int, loop: int) -> Value:
    """The ``index``-th element as seen in that iteration."""
    if isinstance(source, Const):
        tag = m.labels.bit(Iteration(loop, index))
        if isinstance(source.value, range):
            first = source.value.start + index * source.value.step
            return Const(first, source.labels | tag)
        if isinstance(source.value, str | bytes) and index < len(source.value):
            return Const(source.value[index : index + 1], source.labels | tag)
        return Data(source.labels | tag)
    if isinstance(source, Sequence):
        return _of_sequence(m, source, index, loop)
    if isinstance(source, Zipped):
        return Sequence("tuple", [element(m, part, index, loop) for part in source.sources])
    if isinstance(source, Range):
        return _of_range(m, source, index, loop)
    if isinstance(source, Mapping):
        keys: list[Value] = [Const(key) for key in source.entries]
        return keys[index] if index < len(keys) else source.keys or Data()
    if isinstance(source, Either):
        result = element(m, source.options[0], index, loop)
        for option in source.options[1:]:
            result = join(result, element(m, option, index, loop))
        return result
    tag = m.labels.bit(Iteration(loop, index))
    if isinstance(source, Data):
        from pgaudit.engine.indexing import at_index

        return at_index(m, source, Const(index) if index == 0 else Data(scalar=True), tag)
    return Data(m.content(source) | tag)


def _of_sequence(m: Machine, source: Sequence, index: int, loop: int) -> Value:
    store = source.store
    if index < len(store.items):
        item = store.items[index]
        if store.rest is None:
            return m.tagged(item, source.labels | m.labels.bit(Iteration(loop, index)))
    else:
        item = store.rest if store.rest is not None else Data()
    if isinstance(item, Const | Data):
        sampled = store.sampled.get(index)
        if sampled is None:
            sampled = _fresh(m, item, m.labels.bit(Iteration(store.number, index)))
            store.sampled[index] = sampled
        else:
            sampled.labels |= item.labels
        return m.tagged(sampled, source.labels)
    return m.tagged(item, source.labels | m.labels.bit(Iteration(store.number, index)))


def _fresh(m: Machine, item: Value, tag: int) -> Value:
    """One element out of many alike: its own symbol, writes reach the summary."""
    if isinstance(item, Const):
        return (
            Data(item.labels | tag, scalar=True)
            if not isinstance(item.value, str)
            else Const(item.value, item.labels | tag)
        )
    assert isinstance(item, Data)
    labels = m.narrow(item.labels, ZERO, None, tag)  # tokens know which element of the list they are in
    fresh = Data(labels | tag, scalar=item.scalar, base=None if item.scalar else item, cell=item.cell, text=item.text)
    fresh.table = item.table
    return fresh


def _of_range(m: Machine, source: Range, index: int, loop: int) -> Value:
    labels = m.tags(m.union((source.start, source.stop, source.step))) | m.labels.bit(Iteration(loop, index))
    start, step = m.linear(source.start), source.step
    linear = None
    if start is not None and (index == 0 or (isinstance(step, Const) and isinstance(step.value, int))):
        linear = start if index == 0 else _advanced(start, index * step.value)  # type: ignore[attr-defined]
    if linear is not None and not linear.terms:
        return Const(linear.constant, labels)
    return Data(labels, linear=linear, scalar=True)


def _advanced(start, by: int):  # type: ignore[no-untyped-def]
    from pgaudit.engine.linear import Linear

    return start.plus(Linear(by))
