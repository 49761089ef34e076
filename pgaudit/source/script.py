"""A script as it runs: the file as shipped, the layers decoded out of it, and their syntax trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pgaudit.finding import Gap, Location
from pgaudit.source.parse import Parsed, parse

LINE_WIDTH = 160
"""Source lines in reports are cut to this many characters (packed scripts have lines of 200 kB)."""


@dataclass(frozen=True)
class Layer:
    """One text: a file as shipped (``steps`` empty), or what was decoded out of it."""

    path: str
    """The outer file, relative to the record folder."""
    text: str
    steps: tuple[str, ...] = ()
    """How it was decoded, outermost first: ``("base85", "lzma")``."""
    origin: Location | None = None
    """Where the layer's payload stands in the layer around it."""
    language: str = "python"
    """``python``, or ``c`` for C, C++ and CUDA text inside a string (Triton is Python)."""

    @cached_property
    def lines(self) -> list[str]:
        """The physical lines, as CPython counts them (``\\n``, ``\\r\\n`` and ``\\r`` end a line; a form feed does not)."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    @cached_property
    def parsed(self) -> Parsed:
        """The syntax tree, or why there is none. Computed once."""
        return parse(self.text)

    def at(self, line: int | None) -> Location:
        """The location of a line of this layer, with its text."""
        text = self.lines[line - 1].strip()[:LINE_WIDTH] if line and 0 < line <= len(self.lines) else ""
        payload = self.origin.shipped_line if self.origin else None
        return Location(self.path, line, " → ".join(self.steps), text, payload)


@dataclass(frozen=True)
class Script:
    """A Python file of the submission with everything that could be decoded out of it."""

    path: str
    layers: tuple[Layer, ...]
    """Outermost (as shipped) first; the last one holds the code that does the work."""
    embedded: tuple[Layer, ...] = ()
    """Foreign sources (C, C++, CUDA) found inside strings."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment defaults that the wrapper sets before it runs the payload."""
    gaps: tuple[Gap, ...] = ()
    """Payloads that could not be opened, with the reason."""
    modules: Mapping[str, Layer] = field(default_factory=dict)
    """Helper modules that the wrapper builds or writes before it runs the body, by the name that imports them."""

    @property
    def body(self) -> Layer:
        """The layer that runs."""
        return self.layers[-1]
