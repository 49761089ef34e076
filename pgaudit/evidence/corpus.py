"""Submissions with a ruling, by the functions that they are made of: what a new one is compared with.

A corpus is a file of JSON lines, as ``pgaudit corpus`` writes them::

    {"pr": 779, "folder": "records/…", "verdict": "illegal", "mechanisms": ["…"], "source": "https://…", "functions": ["0f3c…"]}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import log
from pathlib import Path
from typing import Any, NamedTuple

from pgaudit.errors import CorpusError
from pgaudit.evidence.functions import Known

KEYS = {"pr": int, "folder": str, "verdict": str, "mechanisms": list, "source": str, "functions": list}


@dataclass(frozen=True)
class Ruled:
    """One submission that was ruled on."""

    pr: int
    folder: str
    verdict: str
    mechanisms: tuple[str, ...]
    source: str
    """Where the ruling can be read."""
    functions: frozenset[str]
    """Fingerprints."""

    def line(self) -> str:
        """The entry as one line of a corpus."""
        plain = asdict(self) | {"mechanisms": sorted(self.mechanisms), "functions": sorted(self.functions)}
        return json.dumps(plain, ensure_ascii=False) + "\n"


class Kinship(NamedTuple):
    """The ruled submission that a script has most in common with."""

    ruled: Ruled
    share: float
    """Of the script's functions, weighed by size and rarity."""
    shared: tuple[str, ...]
    """Fingerprints of the common functions, the telling ones first."""


@dataclass(frozen=True)
class Corpus:
    """All of them, and how many hold each function."""

    entries: tuple[Ruled, ...] = ()
    _holders: Counter[str] = field(default_factory=Counter, compare=False)

    @staticmethod
    def of(entries: Iterable[Ruled]) -> Corpus:
        """A corpus of some submissions."""
        entries = tuple(entries)
        return Corpus(entries, Counter(mark for entry in entries for mark in entry.functions))

    def nearest(self, functions: Mapping[str, Known], pr: int | None, folder: str) -> Kinship | None:
        """The submission that shares most with ``functions``, itself left out.

        A function weighs as much as it is long and as few submissions have it: everybody has the baseline's (inverse document
        frequency; Spärck Jones 1972).
        """
        weights = {mark: known.size * self._rarity(mark) for mark, known in functions.items()}
        whole = sum(weights.values())
        best: Kinship | None = None
        for entry in self.entries:
            if entry.folder == folder and pr in (None, entry.pr):
                continue
            shared = sorted(entry.functions & weights.keys(), key=lambda mark: (-weights[mark], mark))
            share = sum(weights[mark] for mark in shared) / whole if whole else 0.0
            if shared and (best is None or share > best.share):
                best = Kinship(entry, share, tuple(shared))
        return best

    def _rarity(self, mark: str) -> float:
        return log(1 + len(self.entries) / (1 + self._holders[mark]))


def load(path: Path) -> Corpus:
    """Read a corpus. Raises ``CorpusError`` with file and line."""
    return Corpus.of(_entry(where, row) for where, row in json_lines(path))


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON lines, each with ``FILE:LINE``. Raises ``CorpusError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot read: {error}") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"{path}:{number}: must be an object")
        yield f"{path}:{number}", row


def _entry(where: str, entry: dict[str, Any]) -> Ruled:
    for key, kind in KEYS.items():
        if type(entry.get(key)) is not kind:
            raise CorpusError(
                f"{where}: needs {key!r} of type {kind.__name__}", hint="`pgaudit corpus` writes such files"
            )
    return Ruled(
        entry["pr"],
        entry["folder"],
        entry["verdict"],
        tuple(map(str, entry["mechanisms"])),
        entry["source"],
        frozenset(map(str, entry["functions"])),
    )
