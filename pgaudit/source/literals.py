"""String literals of a Python text found without parsing it: fast, and right but for nested quotes in f-strings."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""\#[^\n]*
    |(?P<prefix>\b[rbuft]{1,2})?(?P<body>
        '''(?:\\.|[^\\])*?'''|\"{3}(?:\\.|[^\\])*?\"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_BETWEEN_PARTS = re.compile(r"(?:\s|\\\n)*\Z")


def without_literals(text: str) -> str:
    """The code of a text: every string literal emptied and every comment dropped."""
    return _TOKEN.sub(lambda token: "''" if token["body"] else "", text)


def strings(text: str) -> Iterator[tuple[int, str]]:
    """Line and value of every string literal; adjacent ones are one, the fields of an f-string stay as written."""
    parts: list[str] = []
    start = end = 0
    for token in _TOKEN.finditer(text):
        if not token["body"]:
            continue
        if parts and not _BETWEEN_PARTS.match(text, end, token.start()):
            yield text.count("\n", 0, start) + 1, "".join(parts)
            parts.clear()
        start = token.start() if not parts else start
        end = token.end()
        parts.append(_value(token["prefix"] or "", token["body"]))
    if parts:
        yield text.count("\n", 0, start) + 1, "".join(parts)


def _value(prefix: str, body: str) -> str:
    prefix = prefix.lower()
    formatted = "f" in prefix or "t" in prefix
    try:
        with warnings.catch_warnings(action="ignore"):
            value = ast.literal_eval(prefix.translate({ord("f"): None, ord("t"): None}) + body)
    except (SyntaxError, ValueError):
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.replace("{{", "{").replace("}}", "}") if formatted else text
