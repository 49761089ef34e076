"""Which functions of a script can have to do with byte tables: those that ask for pieces, those on given lines, and their callers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from pgaudit.engine.events import Spot
from pgaudit.evidence.byte_tables.vocabulary import METHODS, snake_case
from pgaudit.program import ir

CONSTRUCTOR = "SentencePieceProcessor"


@dataclass(slots=True, eq=False)
class _Definition:
    """A function or class: what it mentions, itself and what it holds."""

    node: ir.Function | ir.Class
    module: str
    names: set[str] = field(default_factory=set)
    last: int = 0


def relevant(modules: Mapping[str, ir.Module], spots: Iterable[Spot]) -> frozenset[ir.Node]:
    """The functions and classes to look into."""
    found = [definition for name, module in modules.items() for definition in _definitions(module, name)]
    wanted = set(spots)
    chosen = [
        definition
        for definition in found
        if asks_for_pieces(definition.names) or any(_holds(definition, spot) for spot in wanted)
    ]
    known = {definition.node for definition in chosen}
    while chosen:
        called = {name for definition in chosen if not (name := definition.node.name).startswith("__")}
        chosen = [each for each in found if each.node not in known and each.names & called]
        known |= {definition.node for definition in chosen}
    return frozenset(known)


def asks_for_pieces(names: Iterable[str]) -> bool:
    """Do these names include those of a tokenizer's interface?"""
    return any(name == CONSTRUCTOR or snake_case(name) in METHODS for name in names)


def mentioned(node: ir.Node) -> frozenset[str]:
    """Names and attributes in a statement and what it holds."""
    return frozenset(_names(node))


def _names(node: Any) -> Iterator[str]:
    for part in _parts(node):
        if isinstance(part, ir.Name):
            yield part.id
        elif isinstance(part, ir.Attribute):
            yield part.attr
        yield from _names(part)


def _holds(definition: _Definition, spot: Spot) -> bool:
    return definition.module == spot[0] and definition.node.line <= spot[1] <= definition.last


def _definitions(module: ir.Module, name: str) -> list[_Definition]:
    found: list[_Definition] = []

    def visit(node: Any, around: list[_Definition]) -> None:
        if isinstance(node, ir.Function | ir.Class):
            around = [*around, _Definition(node, name)]
            found.append(around[-1])
        word = node.id if isinstance(node, ir.Name) else node.attr if isinstance(node, ir.Attribute) else None
        line = getattr(node, "line", 0)
        for definition in around:
            definition.last = max(definition.last, line)
            if word:
                definition.names.add(word)
        for part in _parts(node):
            visit(part, around)

    for statement in module.body:
        visit(statement, [])
    return found


def _fields(kind: type) -> tuple[str, ...]:
    """The fields of a node that can hold nodes."""
    if kind not in _FIELDS:
        names = (each.name for each in fields(kind)) if is_dataclass(kind) else ()
        _FIELDS[kind] = tuple(name for name in names if name not in _PLAIN)
    return _FIELDS[kind]


_PLAIN = frozenset({"line", "carried", "ops", "op", "kind", "id", "attr"})
_FIELDS: dict[type, tuple[str, ...]] = {}


def _parts(node: Any) -> Iterator[Any]:
    """The nodes right below a node."""
    for name in _fields(type(node)):
        yield from _flat(getattr(node, name))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    elif is_dataclass(value):
        yield value
