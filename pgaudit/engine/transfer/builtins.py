"""Python's own functions, and the few of ``itertools``, ``functools``, ``collections`` and ``copy`` that carry data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgaudit.engine import calls, choosing
from pgaudit.engine.calls import EXIT, Arguments, call, opaque
from pgaudit.engine.iteration import elements, known_length
from pgaudit.engine.labels import Iteration, Lookup, Token, Unset
from pgaudit.engine.machine import Machine, parts
from pgaudit.engine.transfer.strings import text_of, text_value
from pgaudit.engine.values import (
    Class,
    Const,
    Data,
    Either,
    External,
    Field,
    Instance,
    Mapping,
    Network,
    Partial,
    Range,
    Sequence,
    Value,
    Zipped,
    join,
    new_number,
)


def nothing(m: Machine, args: Arguments, line: int) -> Value:
    """A call for its effect outside the walk."""
    return Const(None)


def first(m: Machine, args: Arguments, line: int) -> Value:
    """A call that hands its first argument back (decorators, wrappers, progress bars)."""
    return args.positional[0] if args.positional else next(iter(args.keywords.values()), IDENTITY)


IDENTITY = External("builtins.identity")
"""What a decorator factory returns: ``torch.compile(fullgraph=True)`` decorates with the identity."""


def size(m: Machine, args: Arguments, line: int) -> Value:
    """A number that depends on shapes only."""
    return Data(scalar=True)


def _print(m: Machine, args: Arguments, line: int) -> Value:
    m.report(" ".join(text_of(value) for value in args.positional), args.positional, line)
    return Const(None)


def _len(m: Machine, args: Arguments, line: int) -> Value:
    value = args.get(0, "obj")
    length = known_length(value) if value is not None else None
    if length is not None and not isinstance(value, Zipped):
        return Const(length)
    if (
        isinstance(value, Instance)
        and (result := calls.call_method(m, value, "__len__", calls.NO_ARGUMENTS, line)) is not None
    ):
        return result
    # The length of what a table holds for a token says something of that token.
    return Data(m.content(value) & m.labels.mask(Lookup) if isinstance(value, Data) else 0, scalar=True)


def _range(m: Machine, args: Arguments, line: int) -> Value:
    bounds = list(args.positional)
    values = [bound.value for bound in bounds if isinstance(bound, Const) and isinstance(bound.value, int)]
    labels = m.union(bounds) & m.labels.mask(Iteration, Unset)
    if len(values) == len(bounds) and 1 <= len(values) <= 3 and (len(values) < 3 or values[2] != 0):
        return Const(range(*values), labels)
    start, stop, step = Const(0), bounds[0] if bounds else Data(), Const(1)
    if len(bounds) > 1:
        start, stop = bounds[0], bounds[1]  # type: ignore[assignment]
    if len(bounds) > 2:
        step = bounds[2]  # type: ignore[assignment]
    return Range(start, stop, step)


def _count(m: Machine, args: Arguments, line: int) -> Value:
    start = args.get(0, "start") or Const(0)
    return Range(start, start, Const(1))


def _enumerate(m: Machine, args: Arguments, line: int) -> Value:
    start = args.get(1, "start") or Const(0)
    return Zipped([Range(start, start, Const(1)), args.positional[0]]) if args.positional else Data()


def _zip(m: Machine, args: Arguments, line: int) -> Value:
    return Zipped(list(args.positional))


def _convert(kind: Callable[[Any], object]) -> Callable[[Machine, Arguments, int], Value]:
    def convert(m: Machine, args: Arguments, line: int) -> Value:
        value = args.get(0, "x")
        if value is None:
            return Const(kind(0)) if kind is not str else Const("")
        if isinstance(value, Either):
            result = convert(m, Arguments([value.options[0]], {}), line)
            for option in value.options[1:]:
                result = join(result, convert(m, Arguments([option], {}), line))
            return result
        if isinstance(value, Const):
            try:
                return Const(kind(value.value), value.labels)
            except (TypeError, ValueError, OverflowError):
                return Data(value.labels, scalar=True)
        if kind is str:
            return text_value(text_of(value), m.content(value))
        if kind is bool:
            from pgaudit.engine.expressions import truth

            answer = truth(m, value)
            return Const(answer) if answer is not None else Data(scalar=True)
        linear = value.linear if isinstance(value, Data) and kind is int else None
        if kind is int and isinstance(value, Data) and value.scalar:
            linear = m.linear(value)
        positive = isinstance(value, Data) and value.positive
        result = Data(m.content(value), linear=linear, scalar=True, positive=positive)
        result.summands = value.summands if isinstance(value, Data) and kind is int else None
        return result

    return convert


def _collect(kind: str) -> Callable[[Machine, Arguments, int], Value]:
    def collect(m: Machine, args: Arguments, line: int) -> Value:
        if not args.positional:
            return Sequence(kind, [])
        source = args.positional[0]
        if isinstance(source, Sequence):
            copy = Sequence(kind, list(source.store.items), source.store.rest, source.labels)
            if source.store.rest is not None:
                copy.store.number, copy.store.sampled = source.store.number, source.store.sampled
            return copy
        if isinstance(source, Data):
            return Data(source.labels, base=source, cell=source.cell, text=source.text)
        sample = elements(m, source, new_number())
        items = [item for _, item in sample.items]
        return Sequence(kind, items if sample.exact else [], None if sample.exact else _join_all(items))

    return collect


def _join_all(items: list[Value]) -> Value:
    result: Value = items[0] if items else Data()
    for item in items[1:]:
        result = join(result, item)
    return result


def _dict(m: Machine, args: Arguments, line: int) -> Value:
    source = args.positional[0] if args.positional else None
    if isinstance(source, Mapping):
        copy = Mapping(source.entries | args.keywords, source.rest, source.labels)
        copy.keys = source.keys
        return copy
    if source is None:
        return Mapping(dict(args.keywords))
    return Mapping(dict(args.keywords), Data(m.content(source)))


def _default_dict(m: Machine, args: Arguments, line: int) -> Value:
    factory = args.positional[0] if args.positional else None
    made = call(m, factory, calls.NO_ARGUMENTS, line) if factory is not None else Data()
    return Mapping({}, Data(scalar=True) if isinstance(made, Const) else made)


def _extreme(m: Machine, args: Arguments, line: int) -> Value:
    values = list(args.positional)
    if len(values) == 1:
        values = list(parts(values[0])) or values
    return Data(m.union(values), scalar=all(not isinstance(v, Data) or v.scalar for v in values))


def _min_max(pick: Callable[..., int]) -> Callable[[Machine, Arguments, int], Value]:
    def choose(m: Machine, args: Arguments, line: int) -> Value:
        constants = [v.value for v in args.positional if isinstance(v, Const) and isinstance(v.value, int | float)]
        if len(constants) == len(args.positional) > 1:
            return Const(pick(constants), m.union(args.positional))
        result = _extreme(m, args, line)
        if pick is min and len(args.positional) == 2:
            result.labels |= choosing.choose(m, args.positional[0], args.positional[1], line, smaller=True)
        return result

    return choose


def _map(m: Machine, args: Arguments, line: int) -> Value:
    if len(args.positional) < 2:
        return Data()
    func, source = args.positional[0], args.positional[1]
    if isinstance(func, External) and func.name in ("builtins.int", "builtins.float", "builtins.str"):
        if isinstance(source, Sequence) and source.store.rest is None:
            return Sequence("list", [call(m, func, Arguments([item], {}), line) for item in source.store.items])
        return Sequence("list", [], Data(m.content(source), scalar=True))
    sample = elements(m, source, new_number())
    results = [call(m, func, Arguments([item], {}), line) for _, item in sample.items]
    return Sequence("list", results if sample.exact else [], None if sample.exact else _join_all(results))


def _sorted(m: Machine, args: Arguments, line: int) -> Value:
    source = args.positional[0] if args.positional else Data()
    if isinstance(source, Mapping):
        return Sequence("list", [Const(key) for key in source.entries], source.keys)
    if isinstance(source, Sequence):
        rest = source.store.rest
        for item in source.store.items:
            rest = item if rest is None else join(rest, item)
        return Sequence("list", [], rest, source.labels) if rest is not None else source
    return source if isinstance(source, Data) else Sequence("list", [], Data(m.content(source)))


def _sum(m: Machine, args: Arguments, line: int) -> Value:
    return Data(m.union(args.positional) & ~m.labels.mask(Iteration), scalar=False)


def _isinstance(m: Machine, args: Arguments, line: int) -> Value:
    value, kinds = args.get(0, "obj"), args.get(1, "class")
    if isinstance(value, Instance) and isinstance(kinds, Class) and value.cls is not None:
        return Const(True) if value.cls is kinds else Data(scalar=True)
    if isinstance(value, Const) and isinstance(kinds, External):
        return Const(type(value.value).__name__ == kinds.name.removeprefix("builtins."))
    return Data(scalar=True)


def _hasattr(m: Machine, args: Arguments, line: int) -> Value:
    value, name = args.get(0, "obj"), args.get(1, "name")
    if isinstance(value, Instance) and not isinstance(value, Network) and isinstance(name, Const):
        found = name.value in value.attrs or (value.cls is not None and value.cls.find(str(name.value)) is not None)
        return Const(found)
    return Data(scalar=True) if not isinstance(value, External) else Const(True)


def _getattr(m: Machine, args: Arguments, line: int) -> Value:
    value, name = args.get(0, "obj"), args.get(1, "name")
    if value is None:
        return Data()
    if not isinstance(name, Const):
        settings = isinstance(value, Instance) and all(isinstance(a, Const | Data) for a in value.attrs.values())
        if isinstance(value, Instance) and not isinstance(value, Network) and not settings:
            m.problem("attribute name not known")
        return Data(m.content(value), cell=value if isinstance(value, Network) else None)
    default = args.get(2, "default")
    if isinstance(value, Instance) and not isinstance(value, Network) and default is not None:
        found = value.attrs.get(str(name.value)) or (value.cls.find(str(name.value)) if value.cls else None)
        if found is None:
            return default
    return calls.attribute(m, value, str(name.value))


def _setattr(m: Machine, args: Arguments, line: int) -> Value:
    value, name, new = args.get(0, "obj"), args.get(1, "name"), args.get(2, "value")
    if value is not None and new is not None and isinstance(name, Const):
        calls.set_attribute(m, value, str(name.value), new, line)
    return Const(None)


def _partial(m: Machine, args: Arguments, line: int) -> Value:
    return Partial(args.positional[0], args.positional[1:], args.keywords) if args.positional else Data()


def _deepcopy(m: Machine, args: Arguments, line: int) -> Value:
    return copied(m, args.positional[0]) if args.positional else Data()


def copied(m: Machine, value: Value) -> Value:
    """A value with an identity of its own and the content that the original has now."""
    if isinstance(value, Network):
        copy = Network(value.cls, dict(value.attrs))
        copy.labels = value.labels
        m.trainable(copy)
        return copy
    if isinstance(value, Data):
        fresh = Data(m.content(value), linear=value.linear, scalar=value.scalar, text=value.text)
        fresh.table = value.table
        return fresh
    if isinstance(value, Sequence):
        rest = copied(m, value.store.rest) if value.store.rest is not None else None
        return Sequence(value.kind, [copied(m, item) for item in value.store.items], rest, value.labels)
    if isinstance(value, Mapping):
        rest = copied(m, value.rest) if value.rest is not None else None
        copy_ = Mapping({key: copied(m, item) for key, item in value.entries.items()}, rest, value.labels)
        copy_.keys = value.keys
        return copy_
    return value


def _exit(m: Machine, args: Arguments, line: int) -> Value:
    return External(EXIT) if not m.uncertain else Const(None)


def _executed(m: Machine, args: Arguments, line: int) -> Value:
    m.problem("code that the script puts together is executed")
    return Data(m.union(args.all()))


def _hash(m: Machine, args: Arguments, line: int) -> Value:
    return Data(m.union(args.all()) & m.labels.mask(Token), scalar=True)


def _next(m: Machine, args: Arguments, line: int) -> Value:
    source = args.positional[0] if args.positional else Data()
    if isinstance(source, Sequence):
        items = source.store.items + ([source.store.rest] if source.store.rest is not None else [])
        return _join_all(items)
    if (
        isinstance(source, Instance)
        and (result := calls.call_method(m, source, "__next__", calls.NO_ARGUMENTS, line)) is not None
    ):
        return result
    return opaque(m, args, line)


def _field(m: Machine, args: Arguments, line: int) -> Value:
    factory = args.keywords.get("default_factory")
    return Field(factory) if factory is not None else args.keywords.get("default") or Data()


def _replace(m: Machine, args: Arguments, line: int) -> Value:
    """``dataclasses.replace(obj, **changes)``."""
    source = args.positional[0] if args.positional else None
    if not isinstance(source, Instance):
        return source or Data()
    return Instance(source.cls, {**source.attrs, **args.keywords})


def _vars(m: Machine, args: Arguments, line: int) -> Value:
    value = args.positional[0] if args.positional else None
    if isinstance(value, Instance):
        return Mapping(dict(value.attrs))
    return Mapping({}, Data())


def _globals(m: Machine, args: Arguments, line: int) -> Value:
    return Mapping(m.frame.module().env)


FUNCTIONS: dict[str, Callable[[Machine, Arguments, int], Value]] = {
    **{
        f"builtins.{name}": transfer
        for name, transfer in {
            "print": _print,
            "len": _len,
            "range": _range,
            "enumerate": _enumerate,
            "zip": _zip,
            "map": _map,
            "int": _convert(int),
            "float": _convert(float),
            "str": _convert(str),
            "bool": _convert(bool),
            "list": _collect("list"),
            "tuple": _collect("tuple"),
            "set": _collect("set"),
            "frozenset": _collect("set"),
            "reversed": _collect("list"),
            "iter": first,
            "dict": _dict,
            "min": _min_max(min),
            "max": _min_max(max),
            "sorted": _sorted,
            "sum": _sum,
            "isinstance": _isinstance,
            "hasattr": _hasattr,
            "getattr": _getattr,
            "setattr": _setattr,
            "exit": _exit,
            "exec": _executed,
            "eval": _executed,
            "quit": _exit,
            "hash": _hash,
            "next": _next,
            "vars": _vars,
            "globals": _globals,
            "repr": _convert(str),
            "id": size,
            "callable": size,
            "super": nothing,
            "identity": first,
        }.items()
    },
    "sys.exit": _exit,
    "os._exit": _exit,
    "dataclasses.dataclass": lambda m, args, line: External("dataclasses.dataclass"),
    "dataclasses.field": _field,
    "dataclasses.replace": _replace,
    "functools.partial": _partial,
    "functools.reduce": _sum,
    "copy.deepcopy": _deepcopy,
    "copy.copy": _deepcopy,
    "itertools.count": _count,
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": _default_dict,
    "collections.deque": _collect("list"),
    "tqdm.tqdm": first,
    "tqdm.auto.tqdm": first,
}
