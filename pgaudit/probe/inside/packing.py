"""Compressors at their fastest: how small the shrunken weights get does not matter here, and the best level takes minutes."""

from __future__ import annotations

import importlib
import lzma
import types
import zlib
from typing import Any


def modules() -> dict[str, types.ModuleType]:
    """The packages that are installed, with ``compress`` at its lowest level."""
    found = {
        "zlib": _copy("zlib", compress=lambda data, *_, **__: zlib.compress(data, 1)),
        "lzma": _copy("lzma", compress=lambda data, *_, **__: lzma.compress(data, preset=0)),
    }
    brotli = _installed("brotli")
    if brotli:
        found["brotli"] = _copy("brotli", compress=lambda data, *_, **__: brotli.compress(data, quality=1))
    zstandard = _installed("zstandard")
    if zstandard:
        found["zstandard"] = _copy("zstandard", ZstdCompressor=lambda *_, **__: zstandard.ZstdCompressor(level=1))
    return found


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _copy(name: str, **replaced: Any) -> types.ModuleType:
    shim = types.ModuleType(name)
    real = importlib.import_module(name)
    vars(shim).update({key: value for key, value in vars(real).items() if not key.startswith("__")} | replaced)
    return shim
