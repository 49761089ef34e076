"""Whose log is it: the source that a log prints, against the scripts that are shipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgaudit.evidence.logs import Log
from pgaudit.source.script import Layer

LEAST_LINES = 100
"""Shorter passages that look like source are pasted snippets or a part of a traceback."""
MINIFIED = 100
"""Characters of a line on average; people write about forty."""
_DEFINITION = re.compile(r"^\s*(?:class|def)\s+(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"#.*")


@dataclass(frozen=True, slots=True)
class LoggedSource:
    """A source text that a log prints."""

    text: str
    first: int
    """Its first line in the log."""


def logged_source(log: Log, lines: Sequence[str]) -> LoggedSource | None:
    """The last source text before the final score, if it is long enough to be a script. ``lines`` are those of the log."""
    end = (log.final.location.line if log.final else None) or log.lines
    long = [(first, last) for first, last in log.embedded if last - first >= LEAST_LINES and first < end]
    if not long:
        return None
    first, last = long[-1]
    return LoggedSource("\n".join(lines[first - 1 : last]), first)


def nearest(text: str, layers: Iterable[Layer]) -> tuple[Layer, float] | None:
    """The shipped text that is most like ``text``, with the part of its distinct code lines that ``text`` has as well.

    What follows a source in a log may be taken for a part of it, so that what ``text`` has in excess does not count.
    """
    wanted = code_lines(text)
    rated = [(layer, held(code_lines(layer.text), wanted)) for layer in layers if not is_minified(layer.text)]
    return max(rated, key=lambda pair: pair[1], default=None)


def code_lines(text: str) -> frozenset[str]:
    """The distinct lines of a script without indentation and comments."""
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def definitions(text: str) -> frozenset[str]:
    """The names of the functions and classes that a script defines."""
    return frozenset(_DEFINITION.findall(text))


def held(lines: frozenset[str], by: frozenset[str]) -> float:
    """The part of some lines that others hold as well."""
    return len(lines & by) / (len(lines) or 1)


def is_minified(text: str) -> bool:
    """Was a script made short by a program? Then it shares no lines with what it was made of."""
    lines = text.count("\n") + 1
    return len(text) / lines > MINIFIED
