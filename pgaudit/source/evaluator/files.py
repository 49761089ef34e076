"""The files that a packed script can see: those it ships with, and those it writes before it runs them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from pgaudit.source.evaluator.functions import ROOT
from pgaudit.source.evaluator.values import Known, Unknown, Value
from pgaudit.source.text import decode

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
            shown = name or full.removeprefix("/repository/")
            return Unknown(f"reads {shown}, which the submission does not ship")
        return Known(data, () if name == self._script else (name or "",))

    def exists(self, path: object) -> bool:
        """Whether the script wrote or ships the file."""
        return isinstance(self.read(path), Known) or self.locate(path) in self.written

    def write(self, path: object, content: Value, append: bool = False) -> None:
        """Keep what is written; a second write in append mode adds to the first."""
        full = self.locate(path)
        before = self.written.get(full)
        if append and isinstance(before, Unknown):
            return
        if append and isinstance(before, Known) and isinstance(content, Known):
            content = Known(_bytes(before.data) + _bytes(content.data), before.steps or content.steps)
        self.written[full] = content

    def written_scripts(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Name, text and history of every Python file that was written into the record folder."""
        for full, content in self.written.items():
            name = self.shipped_name(full)
            if name and name.endswith(".py") and isinstance(content, Known):
                yield name, decode(_bytes(content.data)).text, content.steps

    def ships(self, name: str) -> bool:
        """Whether the submission holds the file."""
        return self._sibling(name) is not None

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
