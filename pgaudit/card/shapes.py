"""Small questions about expressions that several groups of facts ask."""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.card.facts import Parameter
from pgaudit.card.settings import CONSTANT, Settings, identifier, known
from pgaudit.program import ir


def same(left: object, right: object) -> bool:
    """Are two expressions written alike?"""
    if type(left) is not type(right):
        return False
    if isinstance(left, ir.Node | ir.Argument) and isinstance(right, ir.Node | ir.Argument):
        names = [name for cls in type(left).__mro__ for name in getattr(cls, "__slots__", ()) if name != "line"]
        return all(same(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def argument(call: ir.Call, keyword: str, position: int | None = None) -> ir.Expr | None:
    """The argument of a call by keyword, or else by position."""
    for given in call.args:
        if given.keyword == keyword:
            return given.value
    plain = [given for given in call.args if given.keyword is None and not given.star]
    return plain[position].value if position is not None and 0 <= position < len(plain) else None


def calls_in(node: object, *names: str) -> Iterator[ir.Call]:
    """The calls inside a node of functions or methods with one of the names."""
    return (part for part in ir.nodes([node]) if isinstance(part, ir.Call) and identifier(part.func) in names)


def value_of(settings: Settings, name: str, node: ir.Expr | None) -> Parameter | None:
    """An expression as a parameter: the setting that it is, or its value where literals give it."""
    if node is None:
        return None
    named = {setting.name: setting for setting in settings.named_in(node)}
    if len(named) == 1 and not isinstance(node, ir.Conditional):
        (setting,) = named.values()
        if not setting.is_off:
            return Parameter(name, setting.value, setting.source)
    if isinstance(node, ir.Sequence):
        parts = [value_of(settings, name, item) for item in node.items]
        given = [part for part in parts if part is not None]
        sources = dict.fromkeys(part.source for part in given)
        whole = given and len(given) == len(parts)
        return Parameter(name, f"({', '.join(part.value for part in given)})", ", ".join(sources)) if whole else None
    value = settings.value(node)
    return Parameter(name, str(value), CONSTANT) if known(value) and isinstance(value, int | float | str) else None
