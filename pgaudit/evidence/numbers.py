"""Numbers as people write them: ``~1.12``, ``16,024,793``, ``15.98 MB``, ``<0.01``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_APPROXIMATE = "~≈<>≤≥= \t"
_UNITS = {"b": 1, "byte": 1, "bytes": 1}
_UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Figure:
    """A printed number; ``decimals`` says how far it was rounded."""

    value: float
    decimals: int

    @classmethod
    def read(cls, text: str) -> Figure:
        """The figure of a plain decimal literal (``1.2014``, ``4e-05``). Raises ``ValueError``."""
        mantissa, _, exponent = text.lower().partition("e")
        return cls(float(text), len(mantissa.partition(".")[2]) - int(exponent or 0))

    @property
    def error(self) -> float:
        """The most that rounding can have changed: half a unit of the last place printed."""
        return 0.5 * 10.0**-self.decimals


def number(value: object) -> float | None:
    """The number that a JSON value states, ``None`` if it states none; a string may only qualify it (``~``, ``<``, a unit)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return _finite(value)
    if not isinstance(value, str):
        return None
    text = value.strip().lstrip(_APPROXIMATE)
    match = _NUMBER.match(text)
    return _finite(float(re.sub("[,_]", "", match[0]))) if match else None


def byte_count(value: object) -> int | None:
    """The number of bytes that a JSON value states; ``MB`` is decimal, ``MiB`` binary; a bare number counts bytes."""
    amount = number(value)
    if amount is None:
        return None
    factor = 1
    if isinstance(value, str):
        text = value.strip().lstrip(_APPROXIMATE)
        match = _NUMBER.match(text)
        unit = re.match(r"\s*([A-Za-z]+)", text[match.end() :]) if match else None
        factor = _UNITS.get(unit[1].lower(), 1) if unit else 1
    return round(amount * factor)


def _finite(value: float) -> float | None:
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None
