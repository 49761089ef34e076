"""Text to syntax tree, or to the reason why there is none."""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pgaudit.source.nesting import nested_too_deeply

if TYPE_CHECKING:
    import libcst

_STACK_BYTES = 256 * 1024 * 1024
"""libcst recurses in native code, where an overflow kills the process; untouched stack pages cost nothing."""

_ADJACENT = re.compile(r'"[^"\\\n]*"(?:[ \t]*\n[ \t]*"[^"\\\n]*"){999,}')
_JOINT = re.compile(r'"[ \t]*\n[ \t]*"')
_NEWER_STATEMENT = re.compile(r"\s*(?:type\s+\w+|(?:async\s+)?def\s+\w+\s*\[|class\s+\w+\s*\[)")
_LIBRARY = threading.Lock()


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """Why a text has no tree. ``line`` and ``column`` are 1-based.

    ``rejected_by`` is ``grammar`` where CPython cannot run the text either, and ``front end`` where only libcst
    refuses it, or where this Python is too old to tell.
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
    """Parse Python source with the grammar of Python 3.12 and later, whatever Python is running."""
    if problem := _unfit(text):
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


def _unfit(text: str) -> SyntaxProblem | None:
    """What libcst must not be given: characters that CPython refuses and it does not, and nesting that it dies of."""
    if "\0" in text:
        return _problem_at(text, text.index("\0"), "source contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return _problem_at(text, error.start, "source contains a lone surrogate")
    if nested_too_deeply(text):
        return SyntaxProblem("nested too deeply", 1, 1, "front end")
    return None


def _problem_at(text: str, offset: int, message: str) -> SyntaxProblem:
    line = text.count("\n", 0, offset) + 1
    return SyntaxProblem(message, line, offset - text.rfind("\n", 0, offset), "grammar")


def _libcst(text: str) -> tuple[libcst.Module | None, BaseException | None]:
    import libcst

    outcome: list[libcst.Module | BaseException] = []

    def work() -> None:
        try:
            outcome.append(libcst.parse_module(text))
        except (libcst.ParserSyntaxError, libcst.CSTValidationError, RecursionError) as error:
            outcome.append(error)

    with _LIBRARY, _without_collector(), without_validation():
        _on_large_stack(work)
    result = outcome[0]
    return (None, result) if isinstance(result, BaseException) else (result, None)


def _on_large_stack(work: Callable[[], None]) -> None:
    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()


@contextmanager
def _without_collector() -> Iterator[None]:
    """A tree is half a million objects without garbage; the collector would scan it again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def without_validation() -> Iterator[None]:
    """Nodes validate their whitespace, and refuse what CPython reads (``x if y else-1``); a parser's need no check."""
    from libcst import CSTNode

    validate = CSTNode.__post_init__
    CSTNode.__post_init__ = _accept  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        CSTNode.__post_init__ = validate  # type: ignore[method-assign]


def _accept(_node: libcst.CSTNode) -> None:
    """Nothing to check."""


def _join_literals(text: str) -> str:
    """Make one literal of a thousand adjacent ones: libcst parses them recursively, and stops at 3,000."""
    return _ADJACENT.sub(lambda run: _JOINT.sub("\\\\\n", run.group()), text)


def _blame(text: str, refusal: BaseException | None) -> SyntaxProblem:
    """Say who rejected the text; only a rejection by CPython's own grammar makes it a broken script."""
    import ast
    import warnings

    import libcst

    message, line, column = str(refusal), 1, 1
    if isinstance(refusal, libcst.ParserSyntaxError):
        message, line, column = refusal.message, refusal.editor_line, refusal.editor_column
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except SyntaxError as error:
        place = (error.lineno or 1, error.offset or 1)
        if sys.version_info >= (3, 12) or not _needs_newer(error, message):
            return SyntaxProblem(error.msg, *place, "grammar")
        line, column = place
    except (MemoryError, RecursionError):
        message = "nested too deeply"
    return SyntaxProblem(message, line, column, "front end")


def _needs_newer(error: SyntaxError, refusal: str) -> bool:
    """Whether Python 3.12 may accept what 3.11 rejects: f-strings (PEP 701) and type parameters (PEP 695).

    libcst's tokenizer reads both, so what its tokenizer rejects is broken in every Python.
    """
    if refusal.startswith("tokenizer error"):
        return False
    line = error.text or ""
    in_literal = error.msg.startswith(("f-string", "unterminated string literal"))
    return in_literal or _NEWER_STATEMENT.match(line) is not None
