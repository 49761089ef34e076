"""Whether a text is nested so deeply that libcst's recursive parser would exhaust the stack, or the day."""

from __future__ import annotations

import re

MAX_DEPTH = 500
"""Levels of syntax nodes. libcst needs time in the square of the depth, and CPython gives up between 1,000 and 10,000;
the deepest real script has fewer than 100."""

_LONG_LINE = 4_000
"""Characters; a chain of operators on a shorter line is not deep enough to harm."""
_LONG_STATEMENT = 2_000
"""Lines of one top-level statement; likewise for a chain that spans lines."""

_LONG_RUN = 100_000
"""Characters of code without a separator, which no program needs, and which CPython's parser cannot afford."""
_MAX_BRACKETS = 200
"""CPython's own limit."""

_LITERAL = re.compile(
    r"""\#[^\n]*
    |(?:\b[rbuft]{1,2})?(?:'''(?:\\.|[^\\])*?'''|\"{3}(?:\\.|[^\\])*?\"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_STATEMENT = re.compile(r"^(?![\s#)\]}]|elif\b|else\b|except\b|finally\b)", re.MULTILINE)


def nested_too_deeply(text: str) -> bool:
    """Whether the nesting exceeds ``MAX_DEPTH``; an ordinary text is cleared without being parsed."""
    if _longest_line(text) < _LONG_LINE and _longest_statement(text) < _LONG_STATEMENT:
        return False
    code = without_literals(text)
    if _longest_line(code) < _LONG_LINE and _longest_statement(code) < _LONG_STATEMENT:
        return False
    return _depth(text, code) > MAX_DEPTH


def without_literals(text: str) -> str:
    """The text with every string literal emptied and every comment dropped."""
    return _LITERAL.sub(lambda token: "" if token.group().startswith("#") else "''", text)


def _longest_line(text: str) -> int:
    return max(map(len, text.split("\n")))


def _longest_statement(text: str) -> int:
    if text.count("\n") < _LONG_STATEMENT:
        return 0
    starts = [0, *(found.start() for found in _STATEMENT.finditer(text)), len(text)]
    return max(text.count("\n", start, end) for start, end in zip(starts, starts[1:], strict=False))


def _depth(text: str, code: str) -> float:
    """Depth of CPython's own tree: of the text, or of its code where this Python cannot read its f-strings; 0 if broken."""
    import ast
    import warnings

    if _brackets(code) > _MAX_BRACKETS or max(map(len, re.split("[,;=]", code))) > _LONG_RUN:
        return float("inf")
    for candidate in (text, code):
        try:
            with warnings.catch_warnings(action="ignore"):
                return _height(ast.parse(candidate))
        except SyntaxError:
            continue
        except (MemoryError, RecursionError):
            return float("inf")
    return 0


def _height(tree: object) -> int:
    import ast

    assert isinstance(tree, ast.AST)
    height, level = 0, [tree]
    while level:
        height += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return height


def _brackets(code: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[\[({\])}]", code):
        depth += 1 if bracket in "[({" else -1
        deepest = max(deepest, depth)
    return deepest
