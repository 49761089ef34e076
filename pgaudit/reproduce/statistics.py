"""Does the claimed score hold? The claim against the interval of the re-run, and two one-sided tests for equivalence.

Everything is in nats per token, the unit of the policy's margin. Formulas: Schuirmann 1987 for the two one-sided tests;
the incomplete beta function by its continued fraction (Numerical Recipes 6.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from pgaudit.student import quantile, upper_tail

MARGIN = 0.005
"""Nats per token: what the challenge asks of a new record, so that a smaller difference is none."""
ALPHA = 0.05
"""Of each one-sided test, and of the two-sided 95 % interval."""
UNLIKE = 0.01
"""Two spreads as different as this or more, by chance alone, are remarked."""
ONE_SEED = 0.02
"""Nats per token beyond which even one seed tells: seeds of one configuration differ by less."""
_TINY = 1e-300
_ROUNDS = 300


class Answer(StrEnum):
    """What the seeds say of a claimed score."""

    EQUIVALENT = "equivalent"
    WORSE = "worse than claimed"
    BETTER = "better than claimed"
    OPEN = "not decided"


@dataclass(frozen=True, slots=True)
class Equivalence:
    """A re-run held against a claim. Differences are re-run minus claim, in nats per token."""

    answer: Answer
    seeds: int
    difference: float
    margin: float
    low: float | None
    """Of the two-sided 95 % interval of the difference; ``None`` for one seed."""
    high: float | None
    p_value: float | None
    """The larger of the two one-sided tests; below ``ALPHA`` the difference is smaller than the margin."""
    paired: bool
    """Each seed was compared with the claim for the same seed."""

    @property
    def claim_inside(self) -> bool | None:
        """Whether the claim lies inside the interval of the re-run."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high

    @property
    def tests_interval(self) -> tuple[float, float] | None:
        """The 90 % interval of the difference: it lies inside the margin exactly where both one-sided tests reject."""
        if self.low is None or self.high is None:
            return None
        freedom = self.seeds - 1
        reach = (self.high - self.low) / 2 * quantile(1 - ALPHA, freedom) / quantile(1 - ALPHA / 2, freedom)
        return self.difference - reach, self.difference + reach


def equivalence(differences: Sequence[float], *, margin: float = MARGIN, paired: bool = False) -> Equivalence:
    """Judge the differences of one seed or more. Raises ``ValueError`` for none, or for a margin that is not positive."""
    if not differences or not margin > 0:
        raise ValueError("equivalence needs a difference and a positive margin")
    mean, seeds = fmean(differences), len(differences)
    if seeds == 1:
        return Equivalence(_one_seed(mean, margin), 1, mean, margin, None, None, None, paired)
    error, freedom = stdev(differences) / math.sqrt(seeds), seeds - 1
    if error == 0:
        p = 0.0 if abs(mean) < margin else 1.0
        low = high = mean
        nearest = mean
    else:
        p = upper_tail((margin - abs(mean)) / error, freedom)  # the nearer bound gives the larger of the two
        reach = quantile(1 - ALPHA / 2, freedom) * error
        low, high = mean - reach, mean + reach
        one_sided = quantile(1 - ALPHA, freedom) * error
        nearest = math.copysign(max(abs(mean) - one_sided, 0.0), mean)
    if p < ALPHA:
        answer = Answer.EQUIVALENT
    elif abs(nearest) > margin:
        answer = Answer.WORSE if nearest > 0 else Answer.BETTER
    else:
        answer = Answer.OPEN
    return Equivalence(answer, seeds, mean, margin, low, high, p, paired)


def _one_seed(difference: float, margin: float) -> Answer:
    """One seed has no spread: it only tells what is far off, or near."""
    if abs(difference) <= margin:
        return Answer.EQUIVALENT
    if abs(difference) <= max(ONE_SEED, margin):
        return Answer.OPEN
    return Answer.WORSE if difference > 0 else Answer.BETTER


def spread_remark(claimed: Sequence[float], measured: Sequence[float]) -> str:
    """What is odd about the spread of the seeds; empty for nothing. F test of two variances, two-sided."""
    if len(measured) > 1 and len(set(measured)) == 1:
        return "every seed came to the same score: the seed changes nothing"
    if len(claimed) > 1 and len(set(claimed)) == 1:
        return "every seed is claimed to have come to the same score"
    if len(claimed) < 2 or len(measured) < 2:
        return ""
    ratio = (stdev(measured) / stdev(claimed)) ** 2
    above = f_upper_tail(ratio, len(measured) - 1, len(claimed) - 1)
    p = 2 * min(above, 1 - above)
    if p >= UNLIKE:
        return ""
    much = "more" if ratio > 1 else "less"
    return f"the seeds of the re-run differ {much} than the claimed ones: standard deviations {stdev(measured):.6f} and {stdev(claimed):.6f}, p = {p:.4f}"


def f_upper_tail(ratio: float, numerator: int, denominator: int) -> float:
    """``P(F > ratio)`` for the degrees of freedom of two variances."""
    if ratio <= 0:
        return 1.0
    return incomplete_beta(denominator / 2, numerator / 2, denominator / (denominator + numerator * ratio))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function ``I_x(a, b)`` for ``0 <= x <= 1``."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _away(1 + even * d), _away(1 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away(1 + odd * d), _away(1 + odd / c)
        value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value


def _away(value: float) -> float:
    """A divisor that is not zero."""
    return value if abs(value) > _TINY else _TINY
