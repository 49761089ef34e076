"""Several token shards as one text, read and written in pieces: a shard has up to 200 MB. Needs numpy."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pgaudit.reproduce.data import HEADER_BYTES, MAGIC, VERSION

PIECE = 2**20
"""Tokens that are held at once."""

Tokens = npt.NDArray[np.uint16]


class Text:
    """The tokens of shards, one after the other. The shards have to be valid (``data.check``)."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.shards: list[Tokens] = [np.memmap(path, "<u2", "r", HEADER_BYTES) for path in paths]
        self.tokens = sum(map(len, self.shards))

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[Tokens]:
        """The tokens from ``start`` to before ``stop`` (default: the end), at most ``PIECE`` at a time."""
        stop = self.tokens if stop is None else stop
        for shard in self.shards:
            inside = shard[max(start, 0) : max(stop, 0)]
            yield from (inside[at : at + PIECE] for at in range(0, len(inside), PIECE))
            start, stop = start - len(shard), stop - len(shard)

    def counts(self, stop: int | None = None) -> npt.NDArray[np.int64]:
        """How often each token occurs before ``stop``, (65536,)."""
        found = np.zeros(2**16, np.int64)
        for piece in self.pieces(0, stop):
            found += np.bincount(piece, minlength=2**16)
        return found

    def places(self, token: int) -> list[int]:
        """Where a token stands."""
        found, at = [], 0
        for piece in self.pieces():
            found += (np.flatnonzero(piece == token) + at).tolist()
            at += len(piece)
        return found


def write(pieces: Iterable[Tokens], shards: Iterable[tuple[Path, int]]) -> None:
    """Write a text as shards of the given numbers of tokens; the text has to have as many in all. Raises ``OSError``."""
    stream, rest = iter(pieces), np.empty(0, np.uint16)
    for path, tokens in shards:
        with path.open("wb") as file:
            file.write(struct.pack("<3i", MAGIC, VERSION, tokens).ljust(HEADER_BYTES, b"\0"))
            missing = tokens
            while missing:
                rest = rest if len(rest) else next(stream)
                file.write(rest[:missing].tobytes())
                rest, missing = rest[missing:], max(missing - len(rest), 0)


def divergence(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """Jensen-Shannon divergence of two token frequencies, in nats: 0 for the same, ln 2 for nothing in common."""
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    return sum(float((x[x > 0] * np.log(x[x > 0] / middle[x > 0])).sum()) for x in (p, q)) / 2
