"""Reading and writing through subscripts: slices move token addresses, token-valued indices are lookups or scores."""

from __future__ import annotations

from dataclasses import dataclass

from pgaudit.engine import choosing
from pgaudit.engine.labels import Activation, Decided, Depends, Stacked, Token
from pgaudit.engine.linear import ZERO, Linear
from pgaudit.engine.machine import Machine
from pgaudit.engine.values import (
    Const,
    Data,
    Either,
    External,
    Instance,
    Mapping,
    Network,
    Sequence,
    Value,
    join,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A slice component ``lower:upper:step`` of a subscript."""

    lower: Value | None
    upper: Value | None
    step: Value | None


Part = Value | Bounds


def read(m: Machine, base: Value, index: list[Part], line: int) -> Value:
    """The value of ``base[index]``."""
    if isinstance(base, Either):
        result = read(m, base.options[0], index, line)
        for option in base.options[1:]:
            result = join(result, read(m, option, index, line))
        return result
    if isinstance(base, Sequence):
        return _read_sequence(m, base, index, line)
    if isinstance(base, Mapping):
        return _read_mapping(m, base, _key_of(index), line)
    if isinstance(base, Const):
        return _read_const(m, base, index)
    if isinstance(base, Network):
        return base
    if isinstance(base, Instance):
        from pgaudit.engine.calls import Arguments, call_method

        keys = [part for part in index if isinstance(part, Value)]
        return call_method(m, base, "__getitem__", Arguments(keys, {}), line) or Data(m.content(base))
    if isinstance(base, Data):
        return _read_data(m, base, index, line)
    if isinstance(base, External) and base.name == "os.environ":
        from pgaudit.engine.transfer.runtime import environment

        return environment(m, _key_of(index), None)
    return base if isinstance(base, External) else Data(m.content(base))


def _key_of(index: list[Part]) -> Value:
    values = [part if isinstance(part, Value) else Data() for part in index]
    return values[0] if len(values) == 1 else Sequence("tuple", values)


def _read_const(m: Machine, base: Const, index: list[Part]) -> Value:
    part = index[0]
    if isinstance(base.value, str | bytes | range):
        try:
            if isinstance(part, Const) and isinstance(part.value, int):
                return Const(base.value[part.value], base.labels | part.labels)
            if isinstance(part, Bounds) and (bounds := _known_slice(part)) is not None:
                return Const(base.value[bounds], base.labels)
        except IndexError:
            return Data(base.labels)
    labels = m.union(p for p in index if isinstance(p, Value))
    return Data(base.labels | labels, scalar=True)


def _known_slice(part: Bounds) -> slice | None:
    values: list[int | None] = []
    for bound in (part.lower, part.upper, part.step):
        if bound is None:
            values.append(None)
        elif isinstance(bound, Const) and (bound.value is None or isinstance(bound.value, int)):
            values.append(bound.value)
        else:
            return None
    return slice(*values) if values[2] != 0 else None


def _bound_tags(m: Machine, part: Part) -> int:
    if isinstance(part, Bounds):
        return m.tags(m.union(bound for bound in (part.lower, part.upper) if bound is not None))
    return m.tags(m.content(part))


def _read_sequence(m: Machine, base: Sequence, index: list[Part], line: int) -> Value:
    part, store = index[0], base.store
    tags = base.labels | _bound_tags(m, part)
    if isinstance(part, Bounds):
        bounds = _known_slice(part)
        if bounds is not None and store.rest is None:
            return Sequence(base.kind, store.items[bounds], None, tags)
        return Sequence(base.kind, [], _summary(store.items, store.rest), tags)
    item: Value | None = None
    if (
        isinstance(part, Const)
        and isinstance(part.value, int)
        and store.rest is None
        and -len(store.items) <= part.value < len(store.items)
    ):
        item = store.items[part.value]
    else:
        item = _summary(store.items, store.rest) or Data()
        tokens = m.content(part) & m.labels.mask(Token)
        if tokens and not (isinstance(item, Sequence) and item.kind == "tuple"):
            item = Data(m.lookup((tokens,), m.content(item), base, line), base=item)
    if len(index) > 1:
        return read(m, item, index[1:], line)
    return m.tagged(item, tags)


def _summary(items: list[Value], rest: Value | None) -> Value | None:
    result = rest
    for item in items:
        result = item if result is None else join(result, item)
    return result


def entry_key(key: Value) -> object | None:
    """The dictionary key behind a value, ``None`` if it is not known (tuples of known parts are)."""
    if isinstance(key, Const) and key.value is not None:
        return key.value
    if isinstance(key, Sequence) and key.kind == "tuple" and key.store.rest is None:
        parts = [entry_key(item) for item in key.store.items]
        return tuple(parts) if None not in parts else None
    return None


def set_entry(mapping: Mapping, key: Value, value: Value) -> None:
    """``mapping[key] = value``; values under unknown keys are joined."""
    known = entry_key(key)
    if known is not None:
        mapping.entries[known] = value
    else:
        mapping.rest = value if mapping.rest is None else join(mapping.rest, value)
        mapping.keys = key if mapping.keys is None else join(mapping.keys, key)


def _read_mapping(m: Machine, base: Mapping, key: Value, line: int) -> Value:
    known = entry_key(key)
    if known is not None and known in base.entries:
        return m.tagged(base.entries[known], m.tags(m.content(key)))
    options = [base.rest] if base.rest is not None else []
    if known is None:
        options += list(base.entries.values())[:8]
    item = _summary(options, None)
    components = key_components(m, key)
    if any(component & m.labels.mask(Token) for component in components):
        return Data(m.lookup(components, m.content(item) | base.labels, base, line), base=item)
    return m.tagged(item, m.tags(m.content(key))) if item is not None else Data(base.labels)


def key_components(m: Machine, key: Value) -> tuple[int, ...]:
    """Labels of each part of a dictionary key: a tuple keeps its parts apart, a hash does not."""
    if isinstance(key, Sequence) and key.kind == "tuple":
        return tuple(m.content(item) for item in key.store.items)
    return (m.content(key),)


def _read_data(m: Machine, base: Data, index: list[Part], line: int) -> Value:
    tokens = m.labels.mask(Token)
    content = m.content(base)
    components = tuple(labels for part in index for labels in _components(m, part))
    if any(component & tokens for component in components):
        selected = 0
        for component in components:
            selected |= component & tokens
        if content & m.labels.mask(Activation):
            return Data(m.score(selected, content, line))
        if base.table or not content & tokens:
            return Data(m.lookup(components, content, base, line), base=base)
    return _moved(m, base, index)


def _components(m: Machine, part: Part) -> tuple[int, ...]:
    """Labels of an index, row and column apart where one number names both."""
    if isinstance(part, Data) and part.summands is not None:
        return part.summands
    return (m.content(part) if isinstance(part, Value) else 0,)


def _moved(m: Machine, base: Data, index: list[Part]) -> Data:
    """A part of an array chosen by position."""
    start: Linear | None = ZERO
    end: Linear | None = None
    tags = 0
    scalar = False
    for part in index:
        tags |= _bound_tags(m, part)
        if isinstance(part, Const) and part.value in (None, ...):
            continue  # a new axis moves nothing
        if isinstance(part, Bounds):
            if part.lower is not None or part.upper is not None:
                start = _from_front(m, part.lower) if part.lower is not None else ZERO
                end = _from_front(m, part.upper) if part.upper is not None else None
        elif len(index) == 1:
            start = m.linear(part)
            scalar = isinstance(part, Const) or (isinstance(part, Data) and part.scalar)
            if start is None and isinstance(part, Data):
                start = ZERO  # a mask or an index list: elements keep their alignment
    if not scalar:
        choosing.take(m, m.content(base), start)
    own = base.labels if base.cell is None else base.labels & ~m.labels.mask(Depends)
    if any(isinstance(part, Const) and part.value not in (None, ...) for part in index):
        own &= ~m.labels.mask(Stacked)
    chosen = m.union(part for part in index if isinstance(part, Value)) & m.labels.mask(Decided)
    result = Data(m.narrow(own, start, end, tags) | chosen, base=base, cell=base.cell, text=base.text)
    result.table = base.table
    if base.linear is not None and not scalar:
        result.linear = base.linear.plus(start) if start is not None else base.linear
    return result


def _from_front(m: Machine, bound: Value) -> Linear | None:
    """A bound counted from the front; one counted from the back is not known."""
    linear = m.linear(bound)
    return None if linear is not None and not linear.terms and linear.constant < 0 else linear


def at_index(m: Machine, base: Data, position: Value, tags: int) -> Value:
    """``base[position]`` as a loop over ``base`` reads it."""
    own = base.labels
    result = Data(m.narrow(own, m.linear(position), None, tags) | tags, base=base, cell=base.cell, text=base.text)
    result.scalar = base.text is not None
    return result


def store(m: Machine, base: Value, index: list[Part], value: Value, line: int) -> None:
    """``base[index] = value``."""
    if m.control and not isinstance(base, Data):
        value = m.tagged(value, m.control)
    if isinstance(base, Either):
        for option in base.options:
            store(m, option, index, value, line)
    elif isinstance(base, External) and base.name == "os.environ":
        from pgaudit.engine.transfer.runtime import set_environment

        set_environment(m, _key_of(index), value)
    elif isinstance(base, Mapping):
        _store_entry(m, base, _key_of(index), value)
    elif isinstance(base, Sequence):
        _store_item(m, base, index, value, line)
    elif isinstance(base, Instance) and not isinstance(base, Network):
        from pgaudit.engine.calls import Arguments, call_method

        keys = [part for part in index if isinstance(part, Value)]
        call_method(m, base, "__setitem__", Arguments([*keys, value], {}), line)
    elif isinstance(base, Data | Network):
        keys = [part for part in index if isinstance(part, Value)]
        addressed = m.union(keys) & m.labels.mask(Token)
        number = isinstance(value, Const) or (isinstance(value, Data) and value.scalar)
        chosen = m.union(keys) & m.labels.mask(Decided)
        if chosen and isinstance(value, Const) and value.value == 0:
            choosing.clear(m, base, chosen)
        if len(keys) == 1:
            choosing.place(m, m.content(value), m.linear(keys[0]))
        choosing.emit(m, m.control | m.content(value) | chosen, keys)
        if addressed and isinstance(base, Data):
            count(m, base, addressed | m.content(value), line)
        m.write(base, m.content(value) | chosen, line, address=number)


def _store_entry(m: Machine, base: Mapping, key: Value, value: Value) -> None:
    if m.uncertain and entry_key(key) in base.entries:
        value = join(base.entries[entry_key(key)], value)
    set_entry(base, key, value)
    tokens = m.content(key) & m.labels.mask(Token)
    if tokens:
        m.update(base, "count", tokens, m.line)


def _store_item(m: Machine, base: Sequence, index: list[Part], value: Value, line: int) -> None:
    part, items = index[0], base.store.items
    if len(index) > 1:
        store(m, read(m, base, index[:1], line), index[1:], value, line)
    elif isinstance(part, Const) and isinstance(part.value, int) and -len(items) <= part.value < len(items):
        items[part.value] = join(items[part.value], value) if m.uncertain else value
    else:
        base.store.rest = value if base.store.rest is None else join(base.store.rest, value)


def count(m: Machine, table: Data, uses: int, line: int) -> None:
    """A table changed at token-dependent places: it now knows those tokens."""
    table.table = True
    m.update(table, "count", uses, line)
    base = table.base
    while isinstance(base, Data):
        base.table = True
        base.labels |= table.labels & ~m.labels.mask(Token, Activation)
        base = base.base
