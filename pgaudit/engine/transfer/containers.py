"""Methods of lists, dicts and strings."""

from __future__ import annotations

from pgaudit.engine.calls import Arguments, append
from pgaudit.engine.indexing import entry_key, key_components, read, set_entry
from pgaudit.engine.labels import Iteration, Token
from pgaudit.engine.machine import Machine, parts
from pgaudit.engine.transfer import files
from pgaudit.engine.transfer.strings import text_of, text_value
from pgaudit.engine.values import Const, Data, Mapping, Sequence, Value, join

FOLDED_TEXT = frozenset({
    "strip", "lstrip", "rstrip", "lower", "upper", "replace", "startswith", "endswith", "isdigit", "removeprefix",
    "removesuffix", "title", "count", "find", "zfill", "capitalize", "isalpha", "ljust", "rjust",
})  # fmt: skip


def call_sequence(m: Machine, target: Sequence, name: str, args: Arguments, line: int) -> Value:
    """``list.name(args)``."""
    value = args.get(0, "value")
    if name in ("append", "appendleft", "add") and value is not None:
        append(m, target, value)
    elif name == "insert" and len(args.positional) > 1:
        append(m, target, args.positional[1])
    elif name in ("extend", "update") and value is not None:
        for item in parts(value) or [Data(m.content(value))]:
            append(m, target, item)
    elif name in ("pop", "popleft"):
        return read(m, target, [value if value is not None else Const(-1)], line)
    elif name == "copy":
        return Sequence(target.kind, list(target.store.items), target.store.rest, target.labels)
    elif name == "clear" and not m.uncertain:
        target.store.items, target.store.rest = [], None
    elif name in ("index", "count"):
        return Data(scalar=True)
    elif name in ("union", "intersection", "difference"):
        return Sequence("set", [], Data(m.content(target) | m.union(args.all()), scalar=True))
    return Const(None)


def drawn(m: Machine, args: Arguments, line: int) -> Value:
    """``random.choice(items)``: any of them; ``sample`` and ``choices`` give a list of such."""
    items = args.get(0, "seq")
    if isinstance(items, Sequence):
        return read(m, items, [Data(scalar=True)], line)
    return Data(m.union(args.all()) & ~m.labels.mask(Iteration))


def drawn_list(m: Machine, args: Arguments, line: int) -> Value:
    """``random.sample(items, k)``."""
    return Sequence("list", [], drawn(m, args, line))


FUNCTIONS = {"random.choice": drawn, "random.sample": drawn_list, "random.choices": drawn_list}


def call_mapping(m: Machine, target: Mapping, name: str, args: Arguments, line: int) -> Value:
    """``dict.name(args)``."""
    if name in ("get", "pop", "setdefault") and args.positional:
        return _get(m, target, name, args, line)
    if name == "items":
        pairs: list[Value] = [Sequence("tuple", [Const(key), value]) for key, value in target.entries.items()]
        rest = Sequence("tuple", [target.keys or Data(), target.rest]) if target.rest is not None else None
        return Sequence("list", pairs, rest, target.labels)
    if name == "keys":
        keys: list[Value] = [Const(key) for key in target.entries]
        return Sequence("list", keys, (target.keys or Data()) if target.rest is not None else None)
    if name == "values":
        return Sequence("list", list(target.entries.values()), target.rest, target.labels)
    if name == "copy":
        copy = Mapping(dict(target.entries), target.rest, target.labels)
        copy.keys = target.keys
        return copy
    if name == "update":
        _update(m, target, args)
    elif name == "clear" and not m.uncertain:
        target.entries.clear()
        target.rest = target.keys = None
    elif name == "most_common":
        return Sequence("list", [], Sequence("tuple", [target.keys or Data(), Data(m.content(target))]))
    return Const(None)


def _get(m: Machine, target: Mapping, name: str, args: Arguments, line: int) -> Value:
    key = args.positional[0]
    default = args.get(1, "default")
    known = entry_key(key)
    if known is not None and known in target.entries:
        return m.tagged(target.entries[known], m.tags(m.content(key)))
    if known is not None and target.rest is None:
        if name == "setdefault" and default is not None:
            set_entry(target, key, default)
        return default if default is not None else Const(None)
    token_key = any(component & m.labels.mask(Token) for component in key_components(m, key))
    if name == "setdefault" and default is not None:
        set_entry(target, key, default)
    found = read(m, target, [key], line)
    return join(found, default) if default is not None and not token_key else found


def _update(m: Machine, target: Mapping, args: Arguments) -> None:
    for value in args.positional:
        if isinstance(value, Mapping):
            target.entries.update(value.entries)
            if value.rest is not None:
                target.rest = value.rest if target.rest is None else join(target.rest, value.rest)
                target.keys = target.keys or value.keys
        else:
            target.rest = Data(m.content(value)) if target.rest is None else join(target.rest, Data(m.content(value)))
    target.entries.update(args.keywords)


LONGEST_TEXT = 1 << 16
"""Longer texts, and texts padded to more, are not computed."""


def call_text(m: Machine, target: Const, name: str, args: Arguments, line: int) -> Value:
    """``str.name(args)``, folded where everything is known; paths are strings too."""
    path = files.path_method(m, target, name, args, line)
    if path is not None:
        return path
    text = target.value
    constants = [value.value for value in args.positional if isinstance(value, Const)]
    known = len(constants) == len(args.positional) and not args.keywords
    large = (
        any(isinstance(value, int) and abs(value) > LONGEST_TEXT for value in constants)
        or len(str(text)) > LONGEST_TEXT
    )
    if name in FOLDED_TEXT and known and not large:
        try:
            return Const(getattr(text, name)(*constants), target.labels)
        except (TypeError, ValueError):
            return Data(target.labels, scalar=True)
    if name in ("split", "rsplit", "splitlines") and known:
        try:
            return Sequence("list", [Const(part, target.labels) for part in getattr(text, name)(*constants)])
        except (TypeError, ValueError):
            return Sequence("list", [], Data(scalar=True))
    if name == "join" and args.positional:
        return _join_parts(m, target, args.positional[0])
    if name == "format":
        return Data(m.union(args.all()), scalar=True, text=str(text))
    return Data(target.labels | m.union(args.all()), scalar=True)


def _join_parts(m: Machine, separator: Const, value: Value) -> Value:
    if isinstance(value, Sequence) and value.store.rest is None:
        text = str(separator.value).join(text_of(item) for item in value.store.items)
        return text_value(text, m.content(value))
    return Data(m.content(value), scalar=True, text="\0")
