"""Which log lines stand behind a claimed score: one that prints it, or several whose mean it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from statistics import fmean

from pgaudit.evidence.logs import Log, Metric
from pgaudit.evidence.numbers import Figure

SCORE_TOLERANCE = 6e-5
"""Bits per byte: claims are rounded to four decimals or more."""
LEAST_ERROR = 1e-6
"""Bits per byte that rounding of the printed values may shift a mean."""
MOST_LOGS = 8
"""Means over some of more logs than this are not tried."""


def prints(metric: Metric, scores: Iterable[float], tolerance: float = SCORE_TOLERANCE) -> bool:
    """Does a line print one of the scores?"""
    bpb = metric.val_bpb
    return bpb is not None and any(abs(bpb.value - score) <= tolerance for score in scores)


def averaged(logs: Iterable[Log], score: float) -> dict[str, Metric]:
    """Log path to the line of one stage, for the logs whose mean at that stage is the score; all of them before some."""
    return averaged_of({log.path: log.metrics for log in logs}, score)


def averaged_of(metrics_of: Mapping[str, Iterable[Metric]], score: float) -> dict[str, Metric]:
    """The same for some of the lines of each log, by its path.

    A mean over some of the logs has to agree to the last digit of the claim: there are many, and one is soon near anything.
    """
    exact = max(Figure.read(repr(score)).error, LEAST_ERROR)
    stages = list(_stages(metrics_of))
    for metrics in stages:
        if _mean_is(metrics, score, max(exact, SCORE_TOLERANCE)):
            return metrics
    for metrics in stages:
        for chosen in _parts(sorted(metrics)):
            part = {path: metrics[path] for path in chosen}
            if _mean_is(part, score, exact):
                return part
    return {}


def _mean_is(metrics: Mapping[str, Metric], score: float, tolerance: float) -> bool:
    distinct = {metric.val_bpb.value for metric in metrics.values() if metric.val_bpb}  # one log may be there twice
    return len(distinct) > 1 and abs(fmean(distinct) - score) <= tolerance


def _stages(metrics_of: Mapping[str, Iterable[Metric]]) -> Iterator[dict[str, Metric]]:
    """For each stage of evaluation after training, the last line of every log that has it."""
    stages: dict[str, dict[str, Metric]] = {}
    for path, metrics in metrics_of.items():
        for metric in metrics:
            if metric.val_bpb and not metric.partial and metric.step is None:
                stages.setdefault(metric.stage, {})[path] = metric
    return iter(stages.values())


def _parts(paths: list[str]) -> Iterator[tuple[str, ...]]:
    """Some of the logs, but not all, and more than one."""
    if len(paths) <= MOST_LOGS:
        for size in range(len(paths) - 1, 1, -1):
            yield from combinations(paths, size)
