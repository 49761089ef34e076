"""Bytes to text, the way CPython reads source: byte-order mark, PEP 263 cookie, UTF-8."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_NO_CODE = re.compile(rb"^[ \t\f]*(?:#.*)?$")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded file, without its byte-order mark. ``note`` says where CPython would not read it so; empty if it would."""

    text: str
    encoding: str
    note: str = ""


def decode(data: bytes) -> Text:
    """Decode a text file; what has no valid encoding is read as Latin-1, with a note, so that nothing stays unread."""
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", ""))
    if encoding and encoding != "utf-8":
        return Text(
            data[len(mark) :].decode(encoding, "replace"), encoding, f"{encoding.upper()} is not read by Python"
        )
    data = data[len(mark) :]
    declared = _cookie(data) or "utf-8"
    try:
        return Text(data.decode(declared), declared)
    except (LookupError, UnicodeError) as error:
        return _fallback(data, f"declared encoding {declared}: {error}" if declared != "utf-8" else str(error))


def _fallback(data: bytes, note: str) -> Text:
    try:
        return Text(data.decode(), "utf-8", note)
    except UnicodeDecodeError:
        return Text(data.decode("latin-1"), "latin-1", note)


def _cookie(data: bytes) -> str | None:
    """The encoding that one of the first two lines declares (PEP 263); text encodings only."""
    for line in data[:1024].splitlines()[:2]:
        if found := _COOKIE.match(line):
            return _text_encoding(found.group(1).decode("ascii", "replace"))
        if not _NO_CODE.match(line):
            return None
    return None


def _text_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return name
