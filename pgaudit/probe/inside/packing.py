"""Compressors at their fastest: how small the shrunken weights get does not matter here, and the best level takes minutes."""

from __future__ import annotations

import importlib
import lzma
import types
import zlib
from typing import Any

from pgaudit.probe.inside.processes import copied


def modules() -> dict[str, types.ModuleType]:
    """The packages that are installed, with ``compress`` at a low level and the format that was asked for."""
    found = {"zlib": copied(zlib, compress=_zlib), "lzma": copied(lzma, compress=_lzma)}
    brotli = _installed("brotli")
    if brotli:
        found["brotli"] = copied(
            brotli, compress=lambda data, *_, **named: brotli.compress(data, **named | {"quality": 1})
        )
    zstandard = _installed("zstandard")
    if zstandard:
        found["zstandard"] = copied(zstandard, ZstdCompressor=lambda *_, **__: zstandard.ZstdCompressor(level=1))
    return found


def _zlib(data: bytes, /, level: int = -1, wbits: int = zlib.MAX_WBITS) -> bytes:
    return zlib.compress(data, min(level, 1), wbits)


def _lzma(data: bytes, format: int = lzma.FORMAT_XZ, check: int = -1, _preset: Any = None, **named: Any) -> bytes:  # noqa: A002
    """A chain of filters says itself how hard it tries, and its reader has to know it."""
    if named.get("filters") is not None:
        return lzma.compress(data, format, check, filters=named["filters"])
    return lzma.compress(data, format, check, preset=0)


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
