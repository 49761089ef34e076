"""The vector behind a printed metric: the recorded operands whose mean is the number that was printed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgaudit.evidence.logs import Metric, Reader
from pgaudit.evidence.numbers import Figure
from pgaudit.probe.record import RunRecord, Site, Vector
from pgaudit.probe.shrink import VALIDATION

ROUNDING = 2e-6
"""Relative: sums in 32 bits, in another order than ours."""
LEAST = 32
"""Elements; shorter vectors fit too many numbers."""


@dataclass(frozen=True)
class Scores:
    """What the submission summed for one printed metric."""

    metric: Metric
    site: Site
    values: Vector
    """Nats, in the order in which they were summed; zeros where a mask hides an element."""
    first: int
    """Of the calls that recorded them."""
    last: int

    @property
    def complete(self) -> bool:
        """Whether every token was scored by an element of its own, as far as counting tells."""
        return int(np.count_nonzero(self.values)) >= VALIDATION * 0.9


def fits_between(record: RunRecord, scores: Scores) -> int:
    """How often something was fitted between the first score and the last."""
    fits = {number for number, site in enumerate(record.sites) if site.kind == "fit"}
    return sum(site in fits for site in record.calls[scores.first : scores.last])


def is_cross_entropy(record: RunRecord, value: float) -> bool:
    """Whether a score is what a loss function of torch came to, so that a softmax normalised it."""
    losses = [number for number, site in enumerate(record.sites) if site.kind == "loss"]
    made = np.isin(np.array(record.calls, dtype=np.int64), losses)
    return any(
        bool((record.values[record.offsets[call] : record.offsets[call + 1]] == value).any())
        for call in np.flatnonzero(made)
    )


def printed_metrics(record: RunRecord) -> list[tuple[int, Metric]]:
    """The validation scores that a run printed, each with the number of recorded calls before it."""
    reader, found = Reader("output"), list[tuple[int, Metric]]()
    for number, (calls, line) in enumerate(record.printed, 1):
        before = len(reader.whole)
        reader.take(number, line)
        found += [(calls, metric) for metric in reader.whole[before:]]
    return found


def claimed_scores(record: RunRecord, stage: str, byte_count: int) -> Scores | None:
    """The vector of the metric that is claimed: the last with the words ``stage`` before it, or else the last of all.

    Another metric never stands in for one whose vector is not found: what it is summed from may be something else.
    """
    printed = [(calls, metric) for calls, metric in printed_metrics(record) if metric.val_loss or metric.val_bpb]
    named = [(calls, metric) for calls, metric in printed if _words(metric.stage) == _words(stage)]
    chosen = next(reversed(named or printed), None)
    if chosen is None:
        return None
    return max(_candidates(record, *chosen, byte_count), key=_quality, default=None)


def _words(stage: str) -> str:
    """A stage without its numbers, which may have been made small."""
    return re.sub(r"[\d.]+", "", stage).removesuffix("_exact").strip(" _:")


def _quality(scores: Scores) -> tuple[bool, bool, int]:
    return scores.complete, len(scores.values) == VALIDATION, -len(scores.values)


def _candidates(record: RunRecord, calls: int, metric: Metric, byte_count: int) -> Iterator[Scores]:
    """Runs of calls of one place that end where the metric was printed and come to it."""
    made = np.array(record.calls[:calls], dtype=np.int64)
    places: dict[tuple[str, str | int], list[int]] = {}
    for number, site in enumerate(record.sites):
        if site.kind != "fit":
            places.setdefault(site.place, []).append(number)
    for numbers in places.values():
        own = np.flatnonzero(np.isin(made, numbers))[::-1]
        total, elements, nonzero = 0.0, 0, 0
        for count, call in enumerate(own, 1):
            values = record.values[record.offsets[call] : record.offsets[call + 1]]
            total += float(values.sum())
            elements += len(values)
            nonzero += int(np.count_nonzero(values))
            if elements >= LEAST and _comes_to(metric, total, {elements, nonzero, VALIDATION} - {0}, byte_count):
                chosen = own[:count][::-1]
                vector = np.concatenate([record.values[record.offsets[c] : record.offsets[c + 1]] for c in chosen])
                yield Scores(metric, _busiest(record, chosen), vector, int(call), int(own[0]))


def _comes_to(metric: Metric, total: float, counts: set[int], byte_count: int) -> bool:
    """Whether a sum of nats, or of bits, over so many tokens or bytes is the printed number."""
    if metric.val_loss:
        return any(_is_near(total / count, metric.val_loss) for count in counts)
    bits = (total / math.log(2), total)
    return metric.val_bpb is not None and any(_is_near(each / byte_count, metric.val_bpb) for each in bits)


def _is_near(value: float, printed: Figure) -> bool:
    return abs(value - printed.value) <= printed.error + ROUNDING * abs(printed.value)


def _busiest(record: RunRecord, calls: NDArray[np.int64]) -> Site:
    """The line that summed the most."""
    most = Counter[int]()
    for call in calls:
        most[record.calls[call]] += int(record.offsets[call + 1] - record.offsets[call])
    return record.sites[most.most_common(1)[0][0]]
