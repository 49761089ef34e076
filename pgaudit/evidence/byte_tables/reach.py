"""Which functions of a script can have to do with byte tables: those that ask for pieces, those on given lines, and their callers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pgaudit.engine.events import Spot
from pgaudit.evidence.byte_tables.vocabulary import METHODS, snake_case
from pgaudit.program import ir

CONSTRUCTOR = "SentencePieceProcessor"


@dataclass(slots=True, eq=False)
class _Definition:
    """A function or class: what it mentions, itself and what it holds."""

    node: ir.Function | ir.Class
    module: str
    names: frozenset[str]
    last: int
    """Its last line."""


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
    return frozenset(map(_word, ir.nodes([node]))) - {""}


def _word(node: object) -> str:
    return node.id if isinstance(node, ir.Name) else node.attr if isinstance(node, ir.Attribute) else ""


def _holds(definition: _Definition, spot: Spot) -> bool:
    return definition.module == spot[0] and definition.node.line <= spot[1] <= definition.last


def _definitions(module: ir.Module, name: str) -> Iterator[_Definition]:
    for node in ir.nodes(module.body):
        if isinstance(node, ir.Function | ir.Class):
            lines = (part.line for part in ir.nodes([node]) if isinstance(part, ir.Node))
            yield _Definition(node, name, mentioned(node), max(lines))
