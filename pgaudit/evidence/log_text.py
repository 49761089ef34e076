"""The lines of a log as text.

Carriage returns (progress bars) split a line into parts that share its number; terminal colours are removed.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator

from pgaudit.submission import File

MAX_PART = 4_000
"""Longer lines hold packed source or tensors, never a metric; a dump of settings on one line may have 3,000 characters."""
MAX_PIECE = 65_536
"""Characters of a line that are looked at together: a progress bar may be one line of many."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def parts(file: File) -> Iterator[tuple[int, str]]:
    """The parts of every line with the line's number, decoded and without colours."""
    stream = file.open()
    head = stream.read(4)
    stream.seek(0)
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    number, rest = 1, ""
    with io.TextIOWrapper(stream, encoding, errors="replace", newline="\n") as text:
        while piece := text.readline(MAX_PIECE):
            ended = piece.endswith("\n")
            if ended and not rest and "\r" not in piece:
                yield number, _clean(piece[:-1])
                number += 1
                continue
            *whole, rest = (rest + piece).rstrip("\r\n" if ended else "").split("\r")
            yield from ((number, _clean(part)) for part in whole)
            if ended:
                yield number, _clean(rest)
                number, rest = number + 1, ""
            rest = rest[:MAX_PART]
    if rest:
        yield number, _clean(rest)


def _clean(part: str) -> str:
    return (_ANSI.sub("", part) if "\x1b" in part else part)[:MAX_PART]
