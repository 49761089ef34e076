"""Numbers as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.evidence.numbers import Figure, byte_count, number


@pytest.mark.parametrize(
    "value,expected",
    [
        (1.0866, 1.0866),
        ("1.0866", 1.0866),
        ("~1.12", 1.12),
        ("< 0.01 (t=44.2)", 0.01),
        ("16,024,793", 16_024_793),
        ("-1", -1),
        ("1e-3", 0.001),
        ("pending", None),
        ("", None),
        (None, None),
        (True, None),
        ([1], None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        ("1e999", None),
    ],
)
def test_the_number_that_a_value_states(value: object, expected: float | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    "value,expected",
    [
        (15_863_489, 15_863_489),
        ("15.98 MB", 15_980_000),
        ("15.9MiB", 16_672_358),
        ("~15,863,489 bytes", 15_863_489),
        ("860 KB", 860_000),
        ("under", None),
    ],
)
def test_the_bytes_that_a_value_states(value: object, expected: int | None) -> None:
    assert byte_count(value) == expected


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.lists(st.integers())))
def test_no_value_is_too_odd(value: object) -> None:
    stated = number(value)
    assert stated is None or math.isfinite(stated)
    assert (byte_count(value) is None) == (stated is None)


@pytest.mark.parametrize("text,error", [("1.2014", 0.00005), ("1.22075880", 0.5e-8), ("3", 0.5), ("4e-05", 0.5e-5)])
def test_what_rounding_can_have_changed(text: str, error: float) -> None:
    assert Figure.read(text).error == pytest.approx(error)
