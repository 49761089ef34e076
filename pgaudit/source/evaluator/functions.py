"""The pure part of Python's library that packed scripts compute with, bounded in size and free of side effects."""

from __future__ import annotations

import ast
import lzma
import posixpath
import textwrap
import zlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from pgaudit.source.evaluator.codecs import MAX_OUTPUT, Undecodable
from pgaudit.source.evaluator.operators import MAX_ITEMS

ROOT = "/repository/records/track/submission"
"""Where the record folder would lie; only names below it can be read."""

TEMPORARY = "/temporary"
"""Where temporary files would lie."""


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITEMS:
        raise Undecodable("counts too far")
    return list(numbers)


def _bytes(source: Any = b"", encoding: str = "utf-8", errors: str = "strict") -> bytes:
    if isinstance(source, str):
        return source.encode(encoding, errors)
    if isinstance(source, int):
        return bytes(min(source, MAX_OUTPUT))
    return bytes(source)


def _str(source: Any = "", encoding: str = "utf-8", errors: str = "strict") -> str:
    if isinstance(source, bytes):
        return source.decode(encoding, errors)
    if isinstance(source, str | int | float | PurePosixPath | None):
        return str(source)
    raise Undecodable(f"text of a {type(source).__name__}")


def _replaced(text: Any, old: Any, new: Any, count: int = -1) -> Any:
    """``text.replace``, within bounds."""
    if text.count(old) * len(new) > MAX_OUTPUT:
        raise Undecodable("replaces by too much")
    return text.replace(old, new, count)


def _joined(separator: Any, parts: Any) -> Any:
    """``separator.join``, within bounds."""
    parts = list(parts)
    if sum(map(len, parts)) + len(separator) * len(parts) > MAX_OUTPUT:
        raise Undecodable("joins too much")
    return separator.join(parts)


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function on a container that is not too large to copy."""

    def guarded(source: Any = (), *arguments: Any) -> Any:
        if len(source) > MAX_ITEMS:
            raise Undecodable("counts too many elements")
        return function(source, *arguments)

    return guarded


def _splitter(name: str) -> Callable[..., Any]:
    """A method of text that splits it, on a text that is not too large to split."""

    def guarded(text: Any, *arguments: Any, **options: Any) -> Any:
        if len(text) > 4 * MAX_ITEMS:
            raise Undecodable("splits too much")
        return getattr(text, name)(*arguments, **options)

    return guarded


def _extended(items: list[Any], more: Any) -> None:
    if len(items) + len(more) > MAX_ITEMS:
        raise Undecodable("collects too many elements")
    items.extend(more)


def _integer(source: Any = 0, base: int = 10) -> int:
    return int(source, base) if isinstance(source, str | bytes) else int(source)


def _formatted(template: str, *arguments: Any, **options: Any) -> str:
    if ":" in template or "." in template or "[" in template:
        raise Undecodable("formats with a specification")
    return template.format(*arguments, **options)


def _translated(text: Any, table: Any, *delete: Any) -> Any:
    if isinstance(table, dict) and any(isinstance(new, str) and len(new) > 1 for new in table.values()):
        raise Undecodable("translates a character to several")
    return text.translate(table, *delete)


def _to_bytes(number: int, length: int = 1, byteorder: Any = "big", *, signed: bool = False) -> bytes:
    if length > MAX_OUTPUT:
        raise Undecodable("asks for too many bytes")
    return number.to_bytes(length, byteorder, signed=signed)


def _absolute(path: str | PurePosixPath) -> str:
    return posixpath.normpath(posixpath.join(ROOT, path))


def _path(*parts: str | PurePosixPath) -> PurePosixPath:
    return PurePosixPath(*parts)


def _resolved(path: PurePosixPath, _strict: bool = False) -> PurePosixPath:
    return PurePosixPath(_absolute(path))


CONSTANTS: Mapping[str, Any] = {
    **{f"lzma.{name}": getattr(lzma, name) for name in dir(lzma) if name.startswith(("FORMAT_", "FILTER_", "PRESET_"))},
    "zlib.MAX_WBITS": zlib.MAX_WBITS,
    "os.sep": "/",
    "os.linesep": "\n",
    "os.name": "posix",
    "sys.byteorder": "little",
    "sys.platform": "linux",
}

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "builtins.str": _str,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "builtins.memoryview": bytes,
    "builtins.int": _integer,
    "builtins.bool": bool,
    "builtins.len": len,
    "builtins.list": _counted(list),
    "builtins.tuple": _counted(tuple),
    "builtins.dict": dict,
    "builtins.sorted": _counted(sorted),
    "builtins.reversed": _counted(lambda sequence: list(reversed(sequence))),
    "builtins.range": _range,
    "builtins.zip": lambda *sequences: _counted(lambda _: list(zip(*sequences, strict=False)))(*sequences[:1]),
    "builtins.enumerate": _counted(lambda sequence, start=0: list(enumerate(sequence, start))),
    "builtins.iter": _counted(list),
    "builtins.chr": chr,
    "builtins.ord": ord,
    "builtins.min": min,
    "builtins.max": max,
    "builtins.sum": sum,
    "builtins.slice": slice,
    "int.from_bytes": int.from_bytes,
    "str.maketrans": str.maketrans,
    "bytes.maketrans": bytes.maketrans,
    "ast.literal_eval": ast.literal_eval,
    "textwrap.dedent": textwrap.dedent,
    "os.fspath": _str,
    "os.getcwd": lambda: ROOT,
    "os.path.abspath": _absolute,
    "os.path.realpath": _absolute,
    "os.path.basename": lambda path: posixpath.basename(str(path)),
    "os.path.dirname": lambda path: posixpath.dirname(str(path)),
    "os.path.join": lambda *parts: posixpath.join(*map(str, parts)),
    "os.path.normpath": lambda path: posixpath.normpath(str(path)),
    "os.path.split": lambda path: posixpath.split(str(path)),
    "os.path.splitext": lambda path: posixpath.splitext(str(path)),
    "pathlib.Path": _path,
    "pathlib.PurePath": _path,
    "pathlib.PosixPath": _path,
    "pathlib.Path.cwd": lambda: PurePosixPath(ROOT),
    "tempfile.gettempdir": lambda: TEMPORARY,
    "tempfile.mkdtemp": lambda **_options: f"{TEMPORARY}/directory",
    "tempfile.mktemp": lambda suffix="", **_options: f"{TEMPORARY}/file{suffix}",
}
"""Functions by qualified name; each takes and returns constants."""

_TEXT = {"decode", "encode", "find", "index", "rfind", "rindex", "count", "startswith", "endswith", "strip", "lstrip"}
_TEXT |= {"rstrip", "lower", "upper", "swapcase", "partition", "rpartition", "hex"}
_TEXT |= {"removeprefix", "removesuffix", "isdigit", "isalnum"}
_SPECIAL: Mapping[str, Callable[..., Any]] = {
    **{name: _splitter(name) for name in ("split", "rsplit", "splitlines")},
    "replace": _replaced,
    "join": _joined,
    "format": _formatted,
    "translate": _translated,
}
METHODS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    str: {**{name: getattr(str, name) for name in _TEXT if hasattr(str, name)}, **_SPECIAL},
    bytes: {**{name: getattr(bytes, name) for name in _TEXT if hasattr(bytes, name)}, **_SPECIAL},
    int: {"to_bytes": _to_bytes, "bit_length": int.bit_length},
    list: {
        **{name: getattr(list, name) for name in ("append", "insert", "pop", "reverse", "index", "copy")},
        "extend": _extended,
    },
    tuple: {"index": tuple.index, "count": tuple.count},
    dict: {name: getattr(dict, name) for name in ("get", "setdefault", "update", "pop", "copy")}
    | {name: lambda table, name=name: list(getattr(table, name)()) for name in ("keys", "values", "items")},
    PurePosixPath: {name: getattr(PurePosixPath, name) for name in ("joinpath", "with_name", "with_suffix", "as_posix")}
    | {"resolve": _resolved, "absolute": _resolved, "expanduser": _resolved},
}
"""Methods of constants by type."""

ATTRIBUTES: Mapping[type, frozenset[str]] = {
    PurePosixPath: frozenset({"parent", "parents", "name", "stem", "suffix", "parts"}),
}
"""Attributes of constants by type."""
