"""Known answers: from printed tables, and by hand in the comments."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.reproduce.statistics import Answer, equivalence, f_upper_tail, incomplete_beta, spread_remark


@pytest.mark.parametrize(
    "ratio, numerator, denominator, p",
    [
        # Upper critical values of F (NIST/SEMATECH e-Handbook, 1.3.6.7.3), to their three decimals.
        (161.448, 1, 1, 0.05),
        (19.000, 2, 2, 0.05),
        (9.277, 3, 3, 0.05),
        (5.050, 5, 5, 0.05),
        (99.000, 2, 2, 0.01),
        (4.103, 2, 10, 0.05),
        (3.326, 5, 10, 0.05),
        (4.849, 10, 10, 0.01),
    ],
)
def test_tails_of_f(ratio: float, numerator: int, denominator: int, p: float) -> None:
    assert f_upper_tail(ratio, numerator, denominator) == pytest.approx(p, rel=5e-4)


def test_the_incomplete_beta_function_in_closed_form() -> None:
    assert incomplete_beta(1, 1, 0.3) == pytest.approx(0.3)  # uniform
    assert incomplete_beta(2, 2, 0.5) == pytest.approx(0.5)  # symmetric
    assert incomplete_beta(2, 3, 0.4) == pytest.approx(0.5248)  # 6 x^2 - 8 x^3 + 3 x^4
    assert incomplete_beta(0.5, 0.5, 0.25) == pytest.approx(1 / 3)  # 2/pi asin(sqrt x)
    assert (incomplete_beta(3, 4, 0), incomplete_beta(3, 4, 1)) == (0, 1)


@given(st.floats(0.5, 40), st.floats(0.5, 40), st.floats(0, 1))
def test_the_incomplete_beta_function_mirrors(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) + incomplete_beta(b, a, 1 - x) == pytest.approx(1, abs=1e-9)


def test_two_one_sided_tests_by_hand() -> None:
    # mean 0.001, standard deviation 0.001, error 0.001 / sqrt 3 = 5.7735e-4; t = (0.005 - 0.001) / error = 4 sqrt 3 = 6.9282;
    # for two degrees of freedom P(T > t) = (1 - t / sqrt(t^2 + 2)) / 2 = (1 - sqrt(48 / 50)) / 2 = 0.0101021.
    found = equivalence([0.0, 0.001, 0.002])
    assert found.p_value == pytest.approx((1 - math.sqrt(48 / 50)) / 2, rel=1e-9)
    assert found.answer is Answer.EQUIVALENT
    # 95 %: t = 4.30265 for two degrees of freedom (printed in every table), so 0.001 -+ 0.0024841.
    assert found.low == pytest.approx(0.001 - 4.30265 * 0.001 / math.sqrt(3), abs=1e-8)
    assert found.high == pytest.approx(0.001 + 4.30265 * 0.001 / math.sqrt(3), abs=1e-8)
    assert found.claim_inside


def test_a_claim_far_better_than_the_rerun_is_worse() -> None:
    # error as above; the one-sided 95 % bound is 0.02 - 2.91999 * 5.7735e-4 = 0.0183 > 0.005.
    found = equivalence([0.019, 0.02, 0.021])
    assert found.answer is Answer.WORSE
    assert not found.claim_inside
    assert equivalence([-0.019, -0.02, -0.021]).answer is Answer.BETTER


def test_much_spread_decides_nothing() -> None:
    assert equivalence([-0.01, 0.0, 0.012]).answer is Answer.OPEN


@pytest.mark.parametrize(
    "difference, answer",
    [(0.004, Answer.EQUIVALENT), (0.01, Answer.OPEN), (0.03, Answer.WORSE), (-0.03, Answer.BETTER)],
)
def test_one_seed_only_tells_what_is_near_or_far(difference: float, answer: Answer) -> None:
    found = equivalence([difference])
    assert found.answer is answer
    assert (found.low, found.p_value, found.claim_inside) == (None, None, None)


@pytest.mark.parametrize("difference, answer", [(0.0, Answer.EQUIVALENT), (0.25, Answer.WORSE), (-0.25, Answer.BETTER)])
def test_without_spread_the_difference_decides(difference: float, answer: Answer) -> None:
    assert equivalence([difference] * 3).answer is answer


@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=8), st.floats(1e-4, 0.05))
def test_the_answer_mirrors(differences: list[float], margin: float) -> None:
    mirrored = {Answer.WORSE: Answer.BETTER, Answer.BETTER: Answer.WORSE}
    there, back = equivalence(differences, margin=margin), equivalence([-d for d in differences], margin=margin)
    assert back.answer is mirrored.get(there.answer, there.answer)


def test_nothing_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="needs a difference"):
        equivalence([])
    with pytest.raises(ValueError, match="positive margin"):
        equivalence([0.1], margin=0)


def test_odd_spreads_are_remarked() -> None:
    assert "changes nothing" in spread_remark([1.0, 1.1, 1.2], [1.1, 1.1, 1.1])
    assert "every seed is claimed" in spread_remark([1.1, 1.1, 1.1], [1.0, 1.1, 1.2])
    assert spread_remark([1.0, 1.001, 1.002], [1.0, 1.001, 1.003]) == ""
    assert spread_remark([1.0], [1.0, 1.1]) == ""
    wide = spread_remark([1.0, 1.001, 1.002], [1.0, 1.2, 1.4])
    # F = (0.2 / 0.001)^2 = 40,000 on 2 and 2: P = 1 / (1 + F), two-sided 0.00005.
    assert "differ more" in wide
    assert "p = 0.0000" in wide
    assert "differ less" in spread_remark([1.0, 1.2, 1.4], [1.0, 1.001, 1.002])
