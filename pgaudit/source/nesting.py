"""Whether a text is nested so deeply that libcst's recursive parser would exhaust the stack, or the day."""

from __future__ import annotations

import ast
import re
import warnings

from pgaudit.source.literals import without_literals

MAX_DEPTH = 500
"""Levels of syntax nodes. libcst needs time in the square of the depth, and CPython gives up between 1,000 and 10,000;
the deepest real script has fewer than 100."""

_LONG_LINE = 4_000
"""Characters; a chain of operators on shorter lines is not deep enough to exhaust the stack."""
_MANY_LINES = 4_000
"""Likewise for a chain that has one operator a line."""
_LONG_RUN = 100_000
"""Characters of code without a separator, which no program needs, and which CPython's parser cannot afford."""
_MAX_BRACKETS = 200
"""CPython's own limit."""


def nested_too_deeply(text: str) -> bool:
    """Whether the nesting exceeds ``MAX_DEPTH``; an ordinary text is cleared without being parsed."""
    if not _has_room(text):
        return False
    code = without_literals(text)
    return _has_room(code) and _depth(text, code) > MAX_DEPTH


def _has_room(text: str) -> bool:
    """Whether a dangerous chain of operators would fit, on one line or over many."""
    lines = text.split("\n")
    return len(lines) >= _MANY_LINES or max(map(len, lines)) >= _LONG_LINE


def _depth(text: str, code: str) -> float:
    """Depth of CPython's own tree: of the text, or of its code where this Python cannot read its f-strings; 0 if broken."""
    if _brackets(code) > _MAX_BRACKETS or max(map(len, re.split("[,;=]", code))) > _LONG_RUN:
        return float("inf")
    for candidate in (text, code):
        try:
            with warnings.catch_warnings(action="ignore"):
                return _height(ast.parse(candidate))
        except (SyntaxError, ValueError):
            continue
        except (MemoryError, RecursionError):
            return float("inf")
    return 0


def _height(tree: ast.AST) -> int:
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
