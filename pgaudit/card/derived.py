"""Names that a network takes over from the settings: what every constructor hands on, and every attribute holds.

The walk does not enter networks. A name counts only where all that is ever bound to it is one known value.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgaudit.card.settings import Settings, identifier, known
from pgaudit.engine.folding import UNKNOWN
from pgaudit.program import ir

ROUNDS = 3
"""Constructors inside constructors that values are followed through."""

Bound = dict[str, list[object]]


def derive(settings: Settings) -> None:
    """Add to the values of ``settings`` what follows from them."""
    nodes = list(ir.nodes([module.body for module in settings.run.modules.values()]))
    classes = {node.name: node for node in nodes if isinstance(node, ir.Class)}
    own = _local_names(nodes)
    for _ in range(ROUNDS):
        handed = _agreed(_handed(settings, nodes, classes))
        settings.values |= {name: value for name, value in handed.items() if name not in settings.values | own}
        held = _agreed(_held(settings, nodes))
        settings.values |= {f".{name}": value for name, value in held.items() if name not in settings.values}


def _agreed(bound: Bound) -> dict[str, object]:
    return {
        name: values[0]
        for name, values in bound.items()
        if known(*values) and all(type(value) is type(values[0]) and value == values[0] for value in values)
    }


def _held(settings: Settings, nodes: Iterable[object]) -> Bound:
    """What attributes are set to: ``self.head = None if tied else …``."""
    found: Bound = {}
    for node in nodes:
        if isinstance(node, ir.Assign) and node.value is not None:
            for target in node.targets:
                if isinstance(target, ir.Attribute):
                    found.setdefault(target.attr, []).append(settings.value(node.value))
        elif isinstance(node, ir.AugAssign) and isinstance(node.target, ir.Attribute):
            found.setdefault(node.target.attr, []).append(UNKNOWN)
        elif isinstance(node, ir.Class):
            for part in node.body:
                if isinstance(part, ir.Assign) and isinstance(part.targets[0], ir.Name) and part.value is not None:
                    found.setdefault(part.targets[0].id, []).append(settings.value(part.value))
    return found


def _handed(settings: Settings, nodes: Iterable[object], classes: dict[str, ir.Class]) -> Bound:
    """What the parameters of constructors are given by all calls of their classes."""
    found: Bound = {}
    for node in nodes:
        owner = classes.get(identifier(node.func)) if isinstance(node, ir.Call) else None
        function = _constructor(owner)
        if not isinstance(node, ir.Call) or function is None:
            continue
        spread = any(given.star for given in node.args)
        plain = [given.value for given in node.args if given.keyword is None]
        named = {given.keyword: given.value for given in node.args if given.keyword}
        for position, param in enumerate(function.params[1:]):
            given = plain[position] if position < len(plain) else named.get(param.name, param.default)
            handed_on = isinstance(given, ir.Name) and given.id == param.name  # what another constructor got under it
            if spread or not handed_on:
                found.setdefault(param.name, []).append(UNKNOWN if spread else settings.value(given))
    return found


def _constructor(owner: ir.Class | None) -> ir.Function | None:
    body = owner.body if owner is not None else []
    return next((part for part in body if isinstance(part, ir.Function) and part.name == "__init__"), None)


def _local_names(nodes: Iterable[object]) -> dict[str, object]:
    """Names that other functions use for something of their own."""
    found: dict[str, object] = {}
    for node in nodes:
        if isinstance(node, ir.Function) and node.name != "__init__":
            found |= dict.fromkeys((param.name for param in node.params), UNKNOWN)
        elif isinstance(node, ir.Assign):
            targets = node.targets
            found |= dict.fromkeys((part.id for part in ir.nodes(targets) if isinstance(part, ir.Name)), UNKNOWN)
        elif isinstance(node, ir.For | ir.AugAssign):
            found |= dict.fromkeys((part.id for part in ir.nodes([node.target]) if isinstance(part, ir.Name)), UNKNOWN)
    return found
