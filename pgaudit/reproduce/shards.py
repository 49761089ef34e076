"""Several token shards as one text, read and written in pieces: a shard has up to 200 MB. Needs numpy."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pgaudit.reproduce.data import HEADER_BYTES, MAGIC, VERSION, count_tokens

PIECE = 2**18
"""Tokens that are held at once. Nothing is mapped: what is mapped counts as memory of pgaudit."""

Tokens = npt.NDArray[np.uint16]


class Text:
    """The tokens of shards, one after the other. Raises ``TargetError`` for what is no shard, ``OSError``."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.shards = [(path, count_tokens(path)) for path in paths]
        self.tokens = sum(tokens for _, tokens in self.shards)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[Tokens]:
        """The tokens from ``start`` to before ``stop`` (default: the end), at most ``PIECE`` at a time."""
        stop = self.tokens if stop is None else stop
        for path, tokens in self.shards:
            first, last = max(start, 0), min(stop, tokens)
            for at in range(first, last, PIECE):
                yield np.fromfile(path, "<u2", min(PIECE, last - at), offset=HEADER_BYTES + 2 * at)
            start, stop = start - tokens, stop - tokens

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
