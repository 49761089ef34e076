"""Text to syntax tree, or to the reason why there is none."""

from __future__ import annotations

import ast
import gc
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import libcst

MAX_DEPTH = 500
"""Nesting of syntax nodes above which a text is refused: libcst needs time in the square of the depth, and CPython
itself gives up between 1,000 and 10,000. Real scripts stay below 100."""

_STACK_BYTES = 256 * 1024 * 1024
"""libcst recurses in native code and cannot report an overflow, so it gets a stack that ``MAX_DEPTH`` cannot exhaust."""

_LONG_LINE, _LONG_STATEMENT = 2_000, 20_000
"""Characters of code on one line, or in one top-level statement, below which no dangerous nesting fits."""

_LITERALS = re.compile(
    r"#[^\n]*|(?P<prefix>\b[rbuft]{1,2})?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")",
    re.IGNORECASE | re.DOTALL,
)
_ADJACENT = re.compile(r'"[^"\\\n]*"(?:[ \t]*\n[ \t]*"[^"\\\n]*"){999,}')
_JOINT = re.compile(r'"[ \t]*\n[ \t]*"')
_STATEMENT = re.compile(r"^(?=[^\s#)\]}])(?!elif\b|else\b|except\b|finally\b)", re.MULTILINE)
_NEW_SYNTAX = re.compile(r"^[ \t]*(?:type[ \t]+\w+|(?:async[ \t]+)?def[ \t]+\w+[ \t]*\[|class[ \t]+\w+[ \t]*\[)")
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """Why a text has no tree. ``line`` and ``column`` are 1-based.

    ``rejected_by`` is ``grammar`` where CPython cannot run the text either, and ``front end`` where pgaudit's own
    parser refuses, or where it cannot be decided which of the two it is.
    """

    message: str
    line: int
    column: int
    rejected_by: Literal["grammar", "front end"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A tree or a problem, never both."""

    module: libcst.Module | None
    problem: SyntaxProblem | None = None
    normalised: tuple[str, ...] = ()
    """What was changed in the text so that libcst accepts it; lines keep their numbers, columns may move."""


def parse(text: str) -> Parsed:
    """Parse Python source with the grammar of Python 3.12 and later, whatever Python is running. Never raises."""
    if problem := _unparsable(text):
        return Parsed(None, problem)
    module, refusal = _libcst(text)
    if module is not None:
        return Parsed(module)
    joined = _join_literals(text)
    if joined != text:
        module, _ = _libcst(joined)
        if module is not None:
            return Parsed(module, normalised=("adjacent string literals joined",))
    return Parsed(None, _blame(text, refusal))


def without_literals(text: str) -> str:
    """The code of a text: every string literal emptied and every comment dropped, lines kept."""
    return _LITERALS.sub(lambda found: _emptied(found.group()), text)


def _emptied(token: str) -> str:
    return ("" if token.startswith("#") else "''") + "\\\n" * token.count("\n")


def _unparsable(text: str) -> SyntaxProblem | None:
    """What neither parser may be given: characters that no source can hold, and nesting that exhausts a stack."""
    for character, message in (("\0", "source contains a NUL character"), ("\x1a", "source contains a control character")):
        if character in text:
            return _at(text, text.index(character), message)
    if surrogate := re.search("[\ud800-\udfff]", text):
        return _at(text, surrogate.start(), "source contains a lone surrogate")
    if _may_nest_deeply(text) and (depth := _depth(text)) > MAX_DEPTH:
        return SyntaxProblem(f"nested more than {MAX_DEPTH} levels deep", 1, 1, "front end")
    return None
