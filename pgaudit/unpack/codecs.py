"""Decoders with bounds: whatever the input, at most ``MAX_OUTPUT`` bytes come out."""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

MAX_OUTPUT = 32 * 1024 * 1024
"""Bytes of one decoded layer; the largest real script has 0.7 MB."""
MAX_DICTIONARY = 64 * 1024 * 1024
"""Bytes of an LZMA dictionary; a raw filter chain may ask for 4 GB."""


class Undecodable(Exception):
    """A payload cannot be decoded; the text is a phrase for the report."""


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_OUTPUT:
        raise Undecodable(f"decodes to more than {MAX_OUTPUT:,} bytes")
    return data


def inflate(data: bytes, wbits: int = zlib.MAX_WBITS) -> bytes:
    """zlib, gzip (``wbits=31``) or raw deflate (``wbits=-15``)."""
    return _bounded(zlib.decompressobj(wbits).decompress(data, MAX_OUTPUT + 1))


def unxz(data: bytes, format: int = lzma.FORMAT_AUTO, filters: list[dict[str, Any]] | None = None) -> bytes:
    """xz, LZMA-alone, or a raw filter chain."""
    if filters:
        filters = [dict(item, dict_size=min(item.get("dict_size", MAX_DICTIONARY), MAX_DICTIONARY)) for item in filters]
        return _bounded(lzma.LZMADecompressor(format, filters=filters).decompress(data, MAX_OUTPUT + 1))
    return _bounded(lzma.LZMADecompressor(format, memlimit=4 * MAX_DICTIONARY).decompress(data, MAX_OUTPUT + 1))


def bunzip(data: bytes) -> bytes:
    """bzip2."""
    return _bounded(bz2.BZ2Decompressor().decompress(data, MAX_OUTPUT + 1))


def unbrotli(data: bytes) -> bytes:
    """Brotli."""
    import brotli

    decompressor = brotli.Decompressor()
    out = bytearray(decompressor.process(data, output_buffer_limit=MAX_OUTPUT + 1))
    while len(out) <= MAX_OUTPUT and not decompressor.is_finished() and not decompressor.can_accept_more_data():
        out += decompressor.process(b"", output_buffer_limit=MAX_OUTPUT + 1)
    if len(out) <= MAX_OUTPUT and not decompressor.is_finished():
        raise Undecodable("the brotli stream is cut off")
    return _bounded(bytes(out))


def unzstd(data: bytes) -> bytes:
    """Zstandard."""
    import zstandard

    with zstandard.ZstdDecompressor(max_window_size=MAX_DICTIONARY).stream_reader(data) as reader:
        return _bounded(reader.read(MAX_OUTPUT + 1))


DECODERS: dict[str, tuple[str, Callable[..., bytes]]] = {
    "base64.b64decode": ("base64", base64.b64decode),
    "base64.standard_b64decode": ("base64", base64.standard_b64decode),
    "base64.urlsafe_b64decode": ("base64", base64.urlsafe_b64decode),
    "base64.decodebytes": ("base64", base64.decodebytes),
    "base64.b85decode": ("base85", base64.b85decode),
    "base64.a85decode": ("ascii85", base64.a85decode),
    "base64.b32decode": ("base32", base64.b32decode),
    "base64.b16decode": ("base16", base64.b16decode),
    "binascii.unhexlify": ("hex", binascii.unhexlify),
    "binascii.a2b_hex": ("hex", binascii.a2b_hex),
    "binascii.a2b_base64": ("base64", binascii.a2b_base64),
    "builtins.bytes.fromhex": ("hex", bytes.fromhex),
    "zlib.decompress": ("zlib", lambda data, wbits=zlib.MAX_WBITS, bufsize=0: inflate(data, wbits)),
    "gzip.decompress": ("gzip", lambda data: inflate(data, 31)),
    "lzma.decompress": ("lzma", lambda data, format=lzma.FORMAT_AUTO, memlimit=None, filters=None: unxz(data, format, filters)),
    "bz2.decompress": ("bz2", bunzip),
    "brotli.decompress": ("brotli", unbrotli),
    "zstandard.decompress": ("zstd", lambda data, max_output_size=0: unzstd(data)),
    "zstd.decompress": ("zstd", unzstd),
    "compression.zstd.decompress": ("zstd", unzstd),
    "zstandard.ZstdDecompressor.decompress": ("zstd", lambda data, max_output_size=0: unzstd(data)),
}  # fmt: skip
"""Dotted name of the library's function to the name of the encoding and our bounded form of it."""

ERRORS = (Undecodable, ValueError, TypeError, EOFError, OverflowError, MemoryError, zlib.error, lzma.LZMAError, OSError)
"""What a damaged or hostile payload makes these raise (brotli and zstandard raise subclasses of ``Exception`` of their own)."""
CONSTANT_MODULES = {"lzma": lzma, "zlib": zlib}
"""Modules whose integer constants a wrapper may name."""


def decode(name: str, args: list[Any], keywords: dict[str, Any]) -> tuple[str, bytes]:
    """Run the decoder of a dotted name: (encoding, bytes). Raises ``Undecodable``."""
    encoding, function = DECODERS[name]
    try:
        return encoding, _bounded(function(*args, **keywords))
    except ERRORS as error:
        raise Undecodable(f"{encoding}: {error or type(error).__name__}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("brotli", "_brotli", "zstd", "zstandard"):
            raise Undecodable(f"{encoding}: {error}") from error
        raise
