"""C and C++ lowered to the same program that Python is lowered to, so that the same engine walks it.

Many submissions keep their n-gram tables and byte mixers in C, in a file or in a string. ``lower_native`` makes a module
of such a source, to be handed out as a sibling; nothing is compiled or run. How a caller uses the module:

* Every function is a plain function under its C name (``lib.process(state, tokens, n)`` is a call of the module's
  ``process``), every struct or class a class; names bound by ``NB_MODULE`` and ``PYBIND11_MODULE`` are aliases of both.
* Arrays are handed over as they are: an array for ``T *p``. What C writes to ``p[i]`` is a write to that array.
* A pointer to a number that C changes (``int *found``, ``double &sum``) is a list of one element, read back from there.
* Handles (``void *state``) are the objects themselves.
* Further parameters whose names end in ``@`` say where in an array a pointer points; leave them at their default of 0.

What C has and the program has not:

* ``p->x`` and ``p.x`` are attributes, ``*p`` is ``p[0]``, ``p + k`` keeps ``k`` apart until it is subscripted.
* An array of structs is one object whose numbers are arrays: ``table[h].count`` is ``table.count[h]``.
* Numbers of a struct that are changed in terms of themselves (lengths, heads of rings) are unknown from the start, since
  the walk samples loops and would take the counts of its two iterations for those of the run.
* Side effects inside expressions become statements before it. ``free`` and ``memset`` do nothing.
* Of ``#if`` the first branch of code counts (the second of ``#if 0``), and the declarations of all.

Anything else is the call of a name that is not defined, on its operands: labels pass through. No source raises.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.recursion import deep_recursion

if TYPE_CHECKING:
    from tree_sitter import Node, Parser


def lower_native(source: str, name: str) -> ir.Module:
    """Lower a C or C++ source text. Lines are 1-based."""
    from pgaudit.program.native.program import Program
    from pgaudit.program.native.survey import Survey

    with deep_recursion():
        root = _parse(source)
        return ir.Module(name, Program(Survey(root), _parse).module(root))


def binds(source: str, name: str) -> bool:
    """Does a source define the Python extension module ``name``?"""
    return re.search(rf"\b(?:NB_MODULE|PYBIND11_MODULE)\s*\(\s*{re.escape(name)}\b", source) is not None


def _parse(source: str) -> Node:
    """The syntax tree, read as C++, or as C where only that is free of errors."""
    data = source.encode("utf-8", "replace")
    root = _parser("cpp").parse(data).root_node
    if root.has_error:
        plain = _parser("c").parse(data).root_node
        if not plain.has_error:
            return plain
    return root


@cache
def _parser(language: str) -> Parser:
    import tree_sitter_c
    import tree_sitter_cpp
    from tree_sitter import Language, Parser

    grammar = tree_sitter_cpp if language == "cpp" else tree_sitter_c
    return Parser(Language(grammar.language()))
