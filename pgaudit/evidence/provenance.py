"""Whose log is it: the source that a log prints, against the scripts that are shipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgaudit.evidence.logs import Log
from pgaudit.source.script import Layer

LEAST_LINES = 100
"""Shorter passages that look like source are pasted snippets or a part of a traceback."""
_DEFINITION = re.compile(r"^\s*(?:class|def)\s+(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"#.*")


@dataclass(frozen=True, slots=True)
class LoggedSource:
    """A source text that a log prints."""

    text: str
    first: int
    """Its first line in the log."""


def logged_source(log: Log, lines: Sequence[str]) -> LoggedSource | None:
    """The longest source text in a log, if it is long enough to be a script. ``lines`` are those of the log."""
    first, last = max(log.embedded, key=lambda span: span[1] - span[0], default=(0, -1))
    if last - first < LEAST_LINES:
        return None
    return LoggedSource("\n".join(lines[first - 1 : last]), first)


def nearest(text: str, layers: Iterable[Layer]) -> tuple[Layer, float] | None:
    """The shipped text that is most like ``text``, with the part of all their distinct code lines that both have."""
    wanted = code_lines(text)
    rated = [(layer, _shared(wanted, code_lines(layer.text))) for layer in layers]
    return max(rated, key=lambda pair: pair[1], default=None)


def code_lines(text: str) -> frozenset[str]:
    """The distinct lines of a script without indentation and comments."""
    lines = (_COMMENT.sub("", line).strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def definitions(text: str) -> frozenset[str]:
    """The names of the functions and classes that a script defines."""
    return frozenset(_DEFINITION.findall(text))


def _shared(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)
