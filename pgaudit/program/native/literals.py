"""Literals and well-known constants of C."""

from __future__ import annotations

import math
import re

_SUFFIX = re.compile(r"(?i)(?<=[0-9a-f.])(u|l|ul|lu|ull|llu|ll|z|uz)$")
_FLOAT_SUFFIX = re.compile(r"(?i)(f|l|f16|f32|f64)$")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]+|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": ""}
_DIRECTIVE = re.compile(r"%[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|z|j|t|L)?([a-zA-Z%])")

CONSTANTS: dict[str, object] = {
    "NULL": None, "nullptr": None, "true": True, "false": False, "INFINITY": math.inf, "HUGE_VAL": math.inf,
    "NAN": math.nan, "M_PI": math.pi, "M_E": math.e, "M_LN2": math.log(2), "M_LOG2E": math.log2(math.e),
    "FLT_MAX": 3.4028235e38, "DBL_MAX": 1.7976931348623157e308, "FLT_MIN": 1.17549435e-38, "DBL_MIN": 2.2250738585072014e-308,
    "FLT_EPSILON": 1.1920929e-07, "DBL_EPSILON": 2.220446049250313e-16,
    "UINT8_MAX": 2**8 - 1, "UINT16_MAX": 2**16 - 1, "UINT32_MAX": 2**32 - 1, "UINT64_MAX": 2**64 - 1, "SIZE_MAX": 2**64 - 1,
    "INT8_MAX": 2**7 - 1, "INT16_MAX": 2**15 - 1, "INT32_MAX": 2**31 - 1, "INT64_MAX": 2**63 - 1, "INT_MAX": 2**31 - 1,
    "INT_MIN": -(2**31), "INT32_MIN": -(2**31), "INT64_MIN": -(2**63), "UINT_MAX": 2**32 - 1, "CHAR_BIT": 8,
}  # fmt: skip


def number(source: str) -> object:
    """The value of a number literal; ``None`` for a form that is not known."""
    digits = source.replace("'", "").lower()
    is_hex = digits.startswith("0x")
    try:
        if is_hex and "p" in digits:
            return float.fromhex(digits.rstrip("fl"))
        if not is_hex and re.search(r"[.e]|f$", digits):
            return float(_FLOAT_SUFFIX.sub("", digits))
        whole = _SUFFIX.sub("", digits)
        if whole.isdigit() and whole.startswith("0"):
            return int(whole, 8)
        return int(whole, 0)
    except ValueError:
        return None


def unescape(source: str) -> str:
    """The characters of the inside of a string or character literal."""
    return _ESCAPE.sub(_escaped, source) if "\\" in source else source


def _escaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] == "x":
        return chr(int(code[1:], 16) & 0xFF)
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _ESCAPED.get(code, code)


def format_parts(template: str) -> list[str | None]:
    """A ``printf`` template as literal parts, with ``None`` for each value."""
    parts: list[str | None] = []
    end = 0
    for match in _DIRECTIVE.finditer(template):
        parts.append(template[end : match.start()])
        parts.append("%" if match.group(1) == "%" else None)
        end = match.end()
    parts.append(template[end:])
    return [part for part in parts if part != ""]
