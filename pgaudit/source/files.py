"""The files that a packed script can see: those it ships with, and those it writes before it runs them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import PurePosixPath

from pgaudit.source.library import ROOT
from pgaudit.source.values import Known, Unknown, Value

Sibling = Callable[[str], bytes | None]
"""The content of a file of the submission by its path relative to the record folder."""


class Files:
    """Reads and writes by path, as the script's own process would see them; nothing touches the disk."""

    def __init__(self, script: str, sibling: Sibling) -> None:
        self._script = script
        self._sibling = sibling
        self.written: dict[str, Value] = {}
        """What the script wrote, by absolute path."""

    def read(self, path: object) -> Value:
        """The bytes of a file, or why it cannot be had."""
        full = self.locate(path)
        if full in self.written:
            return self.written[full]
        name = self.shipped_name(full)
        data = self._sibling(name) if name else None
        if data is None:
            return Unknown(f"reads {name or full}, which the submission does not ship")
        return Known(data, () if name == self._script else (name or "",))

    def exists(self, path: object) -> bool:
        """Whether the script wrote or ships the file."""
        return isinstance(self.read(path), Known) or self.locate(path) in self.written

    def write(self, path: object, content: Value, append: bool = False) -> None:
        """Keep what is written; a second write in append mode adds to the first."""
        full = self.locate(path)
        before = self.written.get(full)
        if append and isinstance(before, Known) and isinstance(content, Known):
            content = Known(_bytes(before.data) + _bytes(content.data), before.steps or content.steps)
        self.written[full] = content

    def shipped_name(self, full: str) -> str | None:
        """The path relative to the record folder, if it lies below it."""
        return full.removeprefix(f"{ROOT}/") if full.startswith(f"{ROOT}/") else None

    def locate(self, path: object) -> str:
        """The absolute, normalised path."""
        home = posixpath.dirname(posixpath.join(ROOT, self._script))
        text = str(path) if isinstance(path, str | PurePosixPath) else repr(path)
        return posixpath.normpath(posixpath.join(home, text))


def _bytes(data: object) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data) if isinstance(data, bytes) else b""
