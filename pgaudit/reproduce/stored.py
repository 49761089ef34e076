"""Dataclasses as JSON values and back, by their annotations: a plan outlives the process that made it."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints


def encode(value: Any) -> Any:
    """A value made of dataclasses, tuples, paths, words of an enumeration and JSON's own scalars."""
    if is_dataclass(value):
        return {each.name: encode(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def decode(kind: Any, value: Any) -> Any:
    """The value of an annotation. Raises ``KeyError`` or ``TypeError`` for what was stored by another version."""
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (each for each in get_args(kind) if each is not types.NoneType)
        return None if value is None else decode(kind, value)
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return tuple(decode(item, each) for each in value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{each.name: decode(hints[each.name], value[each.name]) for each in fields(kind)})
    return kind(value) if isinstance(kind, type) and issubclass(kind, (Path, StrEnum)) else value
