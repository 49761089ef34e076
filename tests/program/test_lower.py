"""Lowering keeps CPython's line numbers, whatever the layout."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json.encoder
import typing
from collections import Counter
from collections.abc import Iterator
from types import ModuleType

import libcst
import pytest

from pgaudit.program import ir
from pgaudit.program.lower import lower

LAYOUTS = {
    "arguments over lines": "f(\n    a,\n    g(\n        b),  # note\n    k=h(),\n)\nlast()\n",
    "operators over lines": "x = (a(1)\n     + b(2)\n     if c(3)\n     else d(4))\nlast()\n",
    "backslashes": "x = a(1) + \\\n    b(2)\nwith p(1) as q, \\\n        r(2) as s:\n    t()\n",
    "decorators and annotations": "@d(1)\n\n@e(\n    2)\ndef f(\n    a: g(3) = h(4),\n    *,\n    b=i(5),\n) -> j(6):\n    k()\n",
    "strings over lines": 'x = """a\nb\nc""" + f("""d\n""")\ny = ("a"\n     "b", g())\nz = f"""{h(1)}\n{i(2)}"""\n',
    "collections": "x = [\n    a(),\n    *b(),\n]\ny = {\n    c(): d(),\n    **e(),\n}\nz = {\n    f()\n}\nw = [\n    g()\n    for i in h()\n    if j()\n]\n",
    "subscripts and comparisons": "x = a()[\n    b() : c(),\n    d()\n]\ny = (e()\n     < f()\n     not in g())\n",
    "compound statements": "if a():\n    b()\n\n# note\nelif c():\n    d()\nelse:\n    e()\ntry:\n    f()\nexcept g:\n    h()\nfinally:\n    i()\nwhile (\n    j()\n):\n    k()\n",
    "match": "match a():\n    case {'b': [c,\n            *d]} if e():\n        f()\n    case _:\n        g()\n",
    "lambda and walrus": "x = lambda a, b=c(): (\n    d(a))\nif (y := e()):\n    f()\n",
    "one line": "a(); b(); c() if d() else e()\nfor i in f(): g(i)\n",
    "carriage returns": "a(\r\n  b())\r\nc()\r\n",
}


@pytest.mark.parametrize("source", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_calls_stand_on_the_lines_that_cpython_counts(source: str) -> None:
    assert lowered_calls(source) == cpython_calls(source)


@pytest.mark.parametrize(
    "module", [argparse, dataclasses, inspect, json.encoder, typing], ids=lambda module: module.__name__
)
def test_whole_modules_keep_their_lines(module: ModuleType) -> None:
    source = inspect.getsource(module)
    missing = cpython_calls(source) - lowered_calls(source)
    dropped = raised_or_messages(source)
    assert not lowered_calls(source) - cpython_calls(source)
    assert not missing - dropped


def test_a_loop_knows_the_names_that_it_carries() -> None:
    (loop,) = lower(
        libcst.parse_module("for i in x:\n    a = b\n    c, *d = e\n    f += 1\n    g[0] = 2\n    (h := 3)\n")
    ).body
    assert isinstance(loop, ir.For)
    assert loop.carried == {"a", "c", "d", "f", "h"}


def test_definitions_inside_a_loop_keep_their_names_to_themselves() -> None:
    (loop,) = lower(libcst.parse_module("while x:\n    def f():\n        inner = 1\n    y = f\n")).body
    assert isinstance(loop, ir.While)
    assert loop.carried == {"f", "y"}


def lowered_calls(source: str) -> Counter[tuple[str, int]]:
    calls: Counter[tuple[str, int]] = Counter()
    pending: list[object] = [lower(libcst.parse_module(source)).body]
    while pending:
        part = pending.pop()
        if isinstance(part, list | tuple):
            pending.extend(part)
        elif dataclasses.is_dataclass(part):
            if isinstance(part, ir.Call) and isinstance(part.func, ir.Name | ir.Attribute):
                calls[part.func.id if isinstance(part.func, ir.Name) else part.func.attr, part.line] += 1
            pending.extend(getattr(part, field.name) for field in dataclasses.fields(part))
    return calls


def cpython_calls(source: str) -> Counter[tuple[str, int]]:
    return Counter(_named(ast.walk(_without_annotations(ast.parse(source)))))


def raised_or_messages(source: str) -> Counter[tuple[str, int]]:
    """Calls that lowering leaves out: what is raised, the text of an assertion, types of handlers, class keywords."""
    found: Counter[tuple[str, int]] = Counter()
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Raise):
            parts = [node.exc, node.cause]
        elif isinstance(node, ast.Assert):
            parts = [node.msg]
        elif isinstance(node, ast.ExceptHandler):
            parts = [node.type]
        elif isinstance(node, ast.JoinedStr):
            parts = [value.format_spec for value in node.values if isinstance(value, ast.FormattedValue)]
        elif isinstance(node, ast.ClassDef):
            parts = [keyword.value for keyword in node.keywords]
        found.update(_named(inner for part in parts if part is not None for inner in ast.walk(part)))
    return found


def _without_annotations(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.match_case):
            node.guard = None
    return tree


def _named(nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield (node.func.id if isinstance(node.func, ast.Name) else node.func.attr), node.lineno
