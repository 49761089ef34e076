"""Decoders of packed scripts: the same results as the library's own, within bounds, and one kind of failure."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.source.evaluator.codecs import DECODERS, Undecodable, decode

COMPRESS = {
    "zlib.decompress": zlib.compress,
    "gzip.decompress": gzip.compress,
    "bz2.decompress": bz2.compress,
    "lzma.decompress": lzma.compress,
    "brotli.decompress": brotli.compress,
    "zstandard.decompress": zstandard.ZstdCompressor().compress,
}


@given(st.sampled_from(sorted(COMPRESS)), st.binary())
def test_decompresses_what_was_compressed(name: str, data: bytes) -> None:
    assert decode(name, COMPRESS[name](data)) == data


@given(st.sampled_from(sorted(DECODERS)), st.one_of(st.binary(), st.text()))
def test_anything_else_is_undecodable(name: str, data: bytes | str) -> None:
    try:
        decoded = decode(name, data)
    except Undecodable:  # and nothing else
        return
    assert isinstance(decoded, bytes | str)


@pytest.mark.parametrize("name", ["gzip.decompress", "bz2.decompress", "lzma.decompress"])
def test_streams_that_follow_each_other_are_one(name: str) -> None:
    assert decode(name, COMPRESS[name](b"a") + COMPRESS[name](b"b")) == b"ab"


@pytest.mark.parametrize("name", sorted(COMPRESS))
def test_a_stream_that_is_cut_off_is_undecodable(name: str) -> None:
    data = COMPRESS[name](bytes(range(256)) * 40)
    with pytest.raises(Undecodable):
        decode(name, data[: len(data) // 2])


def test_a_dictionary_that_no_payload_needs_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    with pytest.raises(Undecodable, match="dictionary"):
        decode("lzma.decompress", b"", format=lzma.FORMAT_RAW, filters=filters)


@pytest.mark.parametrize(
    "data, codec, result",
    [
        (b"aGk=\n", "base64", b"hi"),
        (b"6869", "hex", b"hi"),
        ("uv", "rot13", "hi"),
        (zlib.compress(b"hi"), "zlib", b"hi"),
        (bz2.compress(b"hi"), "bz2_codec", b"hi"),
        (b"h\xe9", "latin-1", "hé"),
    ],
)
def test_decodes_by_the_name_of_the_codec(data: bytes | str, codec: str, result: bytes | str) -> None:
    assert decode("codecs.decode", data, codec) == result
