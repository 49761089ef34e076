"""The vector behind a printed metric: the recorded operands whose mean is the number that was printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgaudit.evidence.logs import Metric, Reader
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


def final_scores(record: RunRecord) -> Scores | None:
    """The vector of the last metric for which there is one of single tokens; else of the last with any."""
    whole = [(calls, metric) for calls, metric in printed_metrics(record) if metric.val_loss]
    best: Scores | None = None
    for calls, metric in reversed(whole):
        found = max(_candidates(record, calls, metric), key=_quality, default=None)
        if found and found.complete:
            return found
        best = best or found
    return best


def _quality(scores: Scores) -> tuple[bool, bool, int]:
    return scores.complete, len(scores.values) == VALIDATION, -len(scores.values)


def _candidates(record: RunRecord, calls: int, metric: Metric) -> Iterator[Scores]:
    """Runs of calls of one place that end where the metric was printed and have its mean."""
    assert metric.val_loss is not None
    made = np.array(record.calls[:calls], dtype=np.int64)
    room = metric.val_loss.error + ROUNDING * abs(metric.val_loss.value)
    for number, site in enumerate(record.sites):
        if site.kind == "fit":
            continue
        own = np.flatnonzero(made == number)[::-1]
        if not len(own):
            continue
        total, elements, nonzero = 0.0, 0, 0
        for call in own:
            values = record.values[record.offsets[call] : record.offsets[call + 1]]
            total += float(values.sum())
            elements += len(values)
            nonzero += int(np.count_nonzero(values))
            counts = {elements, nonzero, VALIDATION} - {0}
            if elements >= LEAST and any(abs(total / count - metric.val_loss.value) <= room for count in counts):
                chosen = own[own >= call][::-1]
                vector = np.concatenate([record.values[record.offsets[c] : record.offsets[c + 1]] for c in chosen])
                yield Scores(metric, site, vector, int(call), int(own[0]))
