"""Bytes to text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.source.text import decode


@pytest.mark.parametrize(
    "data, text, encoding",
    [
        (b"", "", "utf-8"),
        ("é = 1".encode(), "é = 1", "utf-8"),
        (codecs.BOM_UTF8 + b"x", "x", "utf-8"),
        (b"# coding: latin-1\nx = '\xe9'", "# coding: latin-1\nx = 'é'", "iso8859-1"),
        (
            b"#!/usr/bin/python\n# -*- coding: cp1252 -*-\n'\x80'",
            "#!/usr/bin/python\n# -*- coding: cp1252 -*-\n'€'",
            "cp1252",
        ),
    ],
)
def test_reads_what_python_reads(data: bytes, text: str, encoding: str) -> None:
    decoded = decode(data)
    assert (decoded.text, decoded.encoding, decoded.note) == (text, encoding, "")


@pytest.mark.parametrize(
    "data, text, note",
    [
        (b"x = '\xe9'", "x = 'é'", "can't decode byte 0xe9"),
        ("x".encode("utf-16"), "x", "not read by Python"),
        ("x".encode("utf-32"), "x", "not read by Python"),
        (b"# coding: nonsense\nx", "# coding: nonsense\nx", "unknown encoding"),
        (b"# coding: base64\nx", "# coding: base64\nx", "not a text encoding"),
    ],
)
def test_notes_what_python_would_refuse(data: bytes, text: str, note: str) -> None:
    decoded = decode(data)
    assert decoded.text == text
    assert note in decoded.note


def test_a_cookie_counts_on_the_first_two_lines_only_and_only_in_comments() -> None:
    assert decode(b"x = 1\n# coding: latin-1\n").encoding == "utf-8"
    assert decode(b"\n\n# coding: latin-1\n").encoding == "utf-8"


@given(st.binary())
def test_any_bytes_decode(data: bytes) -> None:
    assert isinstance(decode(data).text, str)


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "coding" not in text))
def test_utf8_comes_back_unchanged(text: str) -> None:
    assert decode(text.encode()).text == text.removeprefix("\ufeff")
