"""Which functions of a script can have to do with byte tables: those that ask for pieces, those on given lines, and their callers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    words = (_word(part) for part in ir.nodes([node]))
    return frozenset(word for word in words if word)


def _word(node: object) -> str:
    return node.id if isinstance(node, ir.Name) else node.attr if isinstance(node, ir.Attribute) else ""


def _holds(definition: _Definition, spot: Spot) -> bool:
    return definition.module == spot[0] and definition.node.line <= spot[1] <= definition.last


def _definitions(module: ir.Module, name: str) -> list[_Definition]:
    found: list[_Definition] = []

    def visit(node: ir.Part, around: list[_Definition]) -> None:
        if isinstance(node, ir.Function | ir.Class):
            around = [*around, _Definition(node, name)]
            found.append(around[-1])
        word = _word(node)
        line = getattr(node, "line", 0)
        for definition in around:
            definition.last = max(definition.last, line)
            if word:
                definition.names.add(word)
        for part in ir.children(node):
            visit(part, around)

    for statement in module.body:
        visit(statement, [])
    return found
