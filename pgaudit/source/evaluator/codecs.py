"""Decoding with bounds: what a packed script may decode with, none of it trusted to stop by itself."""

from __future__ import annotations

import base64
import binascii
import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Protocol

MAX_OUTPUT = 32 * 1024 * 1024
"""Bytes that one payload may decompress to; the largest real script has under 2 MB."""

_MAX_DICTIONARY = 128 * 1024 * 1024
"""Bytes of memory that a stream's header may ask for."""

_TOO_MUCH = f"decompresses to more than {MAX_OUTPUT:,} bytes"
_CUT_OFF = "compressed data is cut off"


class Undecodable(Exception):
    """The data is not what the codec reads, is cut off, or is too large; the message is a phrase for the report."""


class _Stream(Protocol):
    """A decompressor of the standard library."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _inflate(start: Callable[[], _Stream], data: bytes, concatenated: bool = False) -> bytes:
    """Decompress one stream, or all that follow each other, without ever holding more than ``MAX_OUTPUT``."""
    parts: list[bytes] = []
    room = MAX_OUTPUT
    while True:
        try:
            stream = start()
            part = stream.decompress(data, room + 1)
        except (zlib.error, lzma.LZMAError) as error:
            raise Undecodable(str(error)) from error
        if len(part) > room:
            raise Undecodable(_TOO_MUCH)
        if not stream.eof:
            raise Undecodable(_CUT_OFF)
        parts.append(part)
        room -= len(part)
        data = stream.unused_data
        if not concatenated or not data:
            return b"".join(parts)


def _zlib(data: bytes, wbits: int = zlib.MAX_WBITS, bufsize: int = 0) -> bytes:  # noqa: ARG001 - the keywords are those of the real function
    return _inflate(lambda: zlib.decompressobj(wbits), data)


def _gzip(data: bytes) -> bytes:
    return _inflate(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), data, concatenated=True)


def _bz2(data: bytes) -> bytes:
    return _inflate(bz2.BZ2Decompressor, data, concatenated=True)


def _lzma(
    data: bytes,
    format: int = lzma.FORMAT_AUTO,  # noqa: A002
    memlimit: int | None = None,  # noqa: ARG001
    filters: list[dict[str, Any]] | None = None,
) -> bytes:
    if any(int(step.get("dict_size", 0)) > _MAX_DICTIONARY for step in filters or ()):
        raise Undecodable(f"asks for a dictionary of more than {_MAX_DICTIONARY:,} bytes")
    limit = None if format == lzma.FORMAT_RAW else _MAX_DICTIONARY
    concatenated = format in (lzma.FORMAT_AUTO, lzma.FORMAT_XZ)
    return _inflate(lambda: lzma.LZMADecompressor(format, limit, filters), data, concatenated)


def _brotli(data: bytes) -> bytes:
    import brotli

    stream = brotli.Decompressor()
    parts: list[bytes] = []
    room = MAX_OUTPUT + 1
    try:
        while room > 0 and not stream.is_finished() and not (parts and stream.can_accept_more_data()):
            parts.append(stream.process(b"" if parts else data, output_buffer_limit=room))
            room -= len(parts[-1])
    except brotli.error as error:
        raise Undecodable(str(error)) from error
    if room <= 0:
        raise Undecodable(_TOO_MUCH)
    if not stream.is_finished():
        raise Undecodable(_CUT_OFF)
    return b"".join(parts)


def _zstd(data: bytes, max_output_size: int = 0) -> bytes:  # noqa: ARG001
    import zstandard

    try:
        declared = zstandard.get_frame_parameters(data).content_size
        stream = zstandard.ZstdDecompressor(max_window_size=_MAX_DICTIONARY).stream_reader(BytesIO(data))
        out = bytes(stream.read(MAX_OUTPUT + 1))
    except zstandard.ZstdError as error:
        raise Undecodable(str(error)) from error
    if len(out) > MAX_OUTPUT:
        raise Undecodable(_TOO_MUCH)
    if declared not in (zstandard.CONTENTSIZE_UNKNOWN, len(out)):
        raise Undecodable(_CUT_OFF)
    return out


def _by_name(data: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> str | bytes:
    """``codecs.decode``: a text encoding, or one of the byte transformations that it knows by name."""
    name = encoding.lower().replace("-", "_").removesuffix("_codec")
    if name in ("rot13", "rot_13"):
        return str(data).translate(_ROT13)
    if name in _TRANSFORMS:
        return _TRANSFORMS[name](data if isinstance(data, bytes) else data.encode())
    if isinstance(data, str):
        raise Undecodable(f"text cannot be decoded by {encoding}")
    return data.decode(encoding, errors)


_ROT13 = {ord(a): b for a, b in zip("ANBOCPDQERFSGTHUIVJWKXLYMZ", "NAOBPCQDRESFTGUHVIWJXKYLZM", strict=True)}
_ROT13 |= {ord(chr(a).lower()): b.lower() for a, b in _ROT13.items()}

_TRANSFORMS: Mapping[str, Callable[[bytes], bytes]] = {
    "base64": base64.decodebytes,
    "hex": binascii.unhexlify,
    "zlib": _zlib,
    "zip": _zlib,
    "bz2": _bz2,
}

DECODERS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "base64.b64decode": ("base64", base64.b64decode),
    "base64.standard_b64decode": ("base64", base64.standard_b64decode),
    "base64.urlsafe_b64decode": ("base64", base64.urlsafe_b64decode),
    "base64.decodebytes": ("base64", base64.decodebytes),
    "base64.b32decode": ("base32", base64.b32decode),
    "base64.b32hexdecode": ("base32", base64.b32hexdecode),
    "base64.b16decode": ("hex", base64.b16decode),
    "base64.b85decode": ("base85", base64.b85decode),
    "base64.a85decode": ("ascii85", base64.a85decode),
    "binascii.a2b_base64": ("base64", binascii.a2b_base64),
    "binascii.unhexlify": ("hex", binascii.unhexlify),
    "binascii.a2b_hex": ("hex", binascii.a2b_hex),
    "bytes.fromhex": ("hex", bytes.fromhex),
    "bytearray.fromhex": ("hex", bytes.fromhex),
    "codecs.decode": ("codecs", _by_name),
    "zlib.decompress": ("zlib", _zlib),
    "gzip.decompress": ("gzip", _gzip),
    "bz2.decompress": ("bz2", _bz2),
    "lzma.decompress": ("lzma", _lzma),
    "brotli.decompress": ("brotli", _brotli),
    "zstandard.decompress": ("zstd", _zstd),
    "json.loads": ("json", json.loads),
}
"""Decoders by the name that a script calls, each with the name of its step."""

STREAMS: Mapping[str, str] = {
    "zlib.decompressobj": "zlib.decompress",
    "bz2.BZ2Decompressor": "bz2.decompress",
    "lzma.LZMADecompressor": "lzma.decompress",
    "zstandard.ZstdDecompressor": "zstandard.decompress",
    "brotli.Decompressor": "brotli.decompress",
}
"""Decompressor objects: constructing one and feeding it everything is the same as calling the function."""

FILE_READERS: Mapping[str, str] = {
    "gzip.open": "gzip.decompress",
    "gzip.GzipFile": "gzip.decompress",
    "bz2.open": "bz2.decompress",
    "bz2.BZ2File": "bz2.decompress",
    "lzma.open": "lzma.decompress",
    "lzma.LZMAFile": "lzma.decompress",
}
"""Openers of compressed files, with the decoder of what they read."""


def decode(name: str, *arguments: Any, **options: Any) -> Any:
    """Call a decoder of ``DECODERS``. Raises ``Undecodable`` for whatever its input makes it raise."""
    try:
        return DECODERS[name][1](*arguments, **options)
    except Undecodable:
        raise
    except (
        ArithmeticError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise Undecodable(f"{error or type(error).__name__}") from error
