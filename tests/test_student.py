"""Student's t: known answers."""

from __future__ import annotations

import pytest

from pgaudit.student import below, quantile, upper_tail


@pytest.mark.parametrize(
    "t,freedom,tail",
    [
        (1.0, 1, 0.25),
        (2.0, 2, 0.0917517),
        (2.5, 3, 0.0438533),
        (1.2, 4, 0.1481757),
        (3.0, 5, 0.0150496),
        (0.5, 10, 0.3139468),
    ],
)
def test_tails_from_the_tables(t: float, freedom: int, tail: float) -> None:
    assert upper_tail(t, freedom) == pytest.approx(tail, abs=1e-7)
    assert upper_tail(-t, freedom) == pytest.approx(1 - tail, abs=1e-7)


@pytest.mark.parametrize(
    "freedom,critical", [(1, 12.7062047), (2, 4.3026527), (4, 2.7764451), (9, 2.2621572), (30, 2.0422725)]
)
def test_critical_values_of_two_sided_five_percent(freedom: int, critical: float) -> None:
    assert quantile(0.975, freedom) == pytest.approx(critical, abs=1e-6)


def test_a_sample_below_a_bound() -> None:
    test = below([2.0, 2.1, 1.9], 2.3)
    assert test
    assert test.mean == pytest.approx(2.0)
    assert test.p_value == pytest.approx(0.0175494, abs=1e-6)
    assert test.low == pytest.approx(1.751586, abs=1e-5)
    assert test.high == pytest.approx(2.248414, abs=1e-5)


def test_nothing_to_test() -> None:
    assert below([2.0], 2.3) is None
    assert below([2.0, 2.0], 2.3) is None
