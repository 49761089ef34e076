"""Student's t for whole degrees of freedom, in closed form (Abramowitz & Stegun 26.7.3 and 26.7.4).

A scan asks for one or two of these numbers; scipy, which has them, takes longer to import than the scan runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True, slots=True)
class Comparison:
    """A one-sided test that the mean of a sample lies below a bound."""

    mean: float
    p_value: float
    """Of a sample like this or better if the mean were the bound."""
    low: float
    high: float
    """The two-sided 95 % confidence interval of the mean."""


def upper_tail(t: float, freedom: int) -> float:
    """``P(T > t)`` for ``freedom`` degrees of freedom."""
    return (1.0 - math.copysign(_between(abs(t), freedom), t)) / 2


def quantile(p: float, freedom: int) -> float:
    """The ``t`` with ``P(T > t) = 1 - p``, for ``p`` above one half, by bisection."""
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if upper_tail(middle, freedom) > 1 - p else (low, middle)
    return high


def below(sample: Sequence[float], bound: float) -> Comparison | None:
    """Test a sample of two or more; ``None`` where there is nothing to test, or no spread."""
    if len(sample) < 2 or (spread := stdev(sample)) == 0:
        return None
    mean, error, freedom = fmean(sample), spread / math.sqrt(len(sample)), len(sample) - 1
    margin = quantile(0.975, freedom) * error
    return Comparison(mean, upper_tail((bound - mean) / error, freedom), mean - margin, mean + margin)


def _between(t: float, freedom: int) -> float:
    """``P(-t < T < t)``."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    if freedom == 1:
        return 2 * angle / math.pi
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
