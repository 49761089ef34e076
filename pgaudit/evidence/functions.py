"""What a function does, whatever it is called: a hash of its lowered form without names and literals."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from dataclasses import fields
from hashlib import sha256
from typing import NamedTuple

from pgaudit.finding import Location
from pgaudit.program import ir
from pgaudit.program.recursion import deep_recursion
from pgaudit.source.script import Layer

LEAST_PARTS = 40
"""Smaller functions (a norm, a cast) are alike by chance."""
NAMES = {ir.Name: "id", ir.Parameter: "name", ir.Function: "name"}
"""The fields that hold a name which the author chose."""
BUILTIN = frozenset(dir(builtins))


class Known(NamedTuple):
    """One function of a script."""

    name: str
    size: int
    """Parts of its lowered form."""
    location: Location


def fingerprints(layer: Layer, module: ir.Module) -> dict[str, Known]:
    """The functions and methods of a text by fingerprint; of equal ones the first."""
    found: dict[str, Known] = {}
    with deep_recursion():
        for function in _outermost(module.body):
            size = sum(1 for _ in ir.nodes([function]))
            if size >= LEAST_PARTS:
                words = " ".join(_spelled(function, {}))
                mark = sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:16]
                found.setdefault(mark, Known(function.name, size, layer.at(function.line)))
    return found


def _outermost(body: Iterable[object]) -> Iterator[ir.Function]:
    """Functions that are in no other, wherever they stand."""
    for part in body:
        if isinstance(part, ir.Function):
            yield part
        elif isinstance(part, ir.Node | ir.Argument | ir.Generator | ir.Handler):
            yield from _outermost(ir.children(part))


def _spelled(part: object, names: dict[str, int]) -> Iterator[str]:
    """The part as words: names by their order, literals by their type, attributes and operators as they are."""
    if isinstance(part, list | tuple):
        yield "["
        for item in part:
            yield from _spelled(item, names)
        yield "]"
    elif isinstance(part, ir.Const):
        yield type(part.value).__name__
    elif isinstance(part, ir.Node | ir.Argument | ir.Generator | ir.Handler | ir.Parameter):
        yield type(part).__name__
        named = NAMES.get(type(part))
        for each in fields(part):
            value = getattr(part, each.name)
            if each.name == named and value not in BUILTIN:
                yield str(names.setdefault(value, len(names)))
            elif each.name not in ("line", "returns"):
                yield from _spelled(value, names)
    elif not isinstance(part, frozenset):  # the names that a function binds: told by its body
        yield repr(part)
