"""Loss by step of a re-run and of the submitted log of the same seed, and the step where the two part.

Where two runs with one seed see the same batches, the noise of the batches cancels in the difference of their losses. What
is left of it is read from the difference itself: how far each value lies from the mean of its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from statistics import fmean, median
from typing import Any, TypeVar

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import LARGEST_FIGURE, Log
from pgaudit.reproduce.statistics import ONE_SEED

MOST_POINTS = 500
"""Of each kind that a curve keeps: a page is no wider."""
LAST_STEP = 10**9
"""A larger number is no step."""
WINDOW = 5
"""Neighbouring common steps whose mean difference is held against the noise; fewer common steps tell nothing."""
DEVIATIONS = 4.0
"""Standard errors of that mean: chance alone goes beyond them in one window of 16,000."""
LEAST_DIFFERENCE = ONE_SEED
"""Nats per token: seeds of one configuration differ by less, so that a smaller difference is no parting."""
_NORMAL = 1.4826
"""Standard deviation of normal numbers over their median absolute deviation."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrainLoss:
    """One line of a training step."""

    step: int
    loss: float
    reported: float | None
    """Seconds of training so far, as the line says."""
    observed: float | None = None
    """Seconds from the start of the run until the line came, on the supervisor's clock; ``None`` in a shipped log."""


@dataclass(frozen=True, slots=True)
class ValidationLoss:
    """One validation during training, in nats per token and bits per byte."""

    step: int
    loss: float
    bpb: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Losses by step, in the order of the steps."""

    train: tuple[TrainLoss, ...] = ()
    validation: tuple[ValidationLoss, ...] = ()

    @property
    def last_step(self) -> int | None:
        """The last step with a loss of either kind."""
        return max((point.step for points in (self.train, self.validation) for point in points[-1:]), default=None)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Curve:
        """Back from JSON values."""
        return cls(
            tuple(TrainLoss(**point) for point in document["train"]),
            tuple(ValidationLoss(**point) for point in document["validation"]),
        )


@dataclass(frozen=True, slots=True)
class Parting:
    """The first step from which on a re-run and a log differ by more than the noise, in nats per token."""

    step: int
    rerun: float
    log: float
    steps: int
    """Common steps from there on, this one counted."""
    after: float
    """Mean difference over them, re-run minus log."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The curve of a re-run's seed beside that of the submitted log of the same seed."""

    seed: int
    log: str
    """Its path; empty where the submission ships no log of the seed with losses by step."""
    submitted: Curve
    differences: tuple[tuple[int, float], ...]
    """Common steps with the training loss of the re-run minus that of the log, nats per token."""
    threshold: float | None
    """How far the mean of ``WINDOW`` neighbouring differences has to lie from zero; ``None`` where too few are common."""
    train: Parting | None
    validation: Parting | None

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"differences": [{"step": step, "loss": loss} for step, loss in self.differences]}


def curve_of(log: Log, arrivals: Iterable[tuple[int, float]] = ()) -> Curve:
    """The curve of the run that counts in a log. ``arrivals``: number of a line and when it came."""
    came = {line: round(when, 3) for line, when in arrivals}
    first, last = log.run
    train = {
        step.step: TrainLoss(step.step, step.train_loss, step.seconds, came.get(step.line))
        for step in log.train_steps
        if first <= step.line <= last and step.step <= LAST_STEP and _is_loss(step.train_loss)
    }
    validation = {
        score.step: ValidationLoss(score.step, score.val_loss.value, score.val_bpb.value if score.val_bpb else None)
        for score in log.metrics
        if first <= (score.location.line or 0) <= last and score.step is not None and score.step <= LAST_STEP
        if score.val_loss and not score.partial and _is_loss(score.val_loss.value)
    }
    return Curve(
        _thinned([train[step] for step in sorted(train)]), _thinned([validation[step] for step in sorted(validation)])
    )


def overlay(evidence: Evidence, seed: int, rerun: Curve) -> Overlay:
    """Lay the curve of a seed over the log that the submission ships of it."""
    log = _log_of(evidence, seed)
    if log is None:
        return Overlay(seed, "", Curve(), (), None, None, None)
    submitted = curve_of(log)
    ours, theirs = ({point.step: point.loss for point in curve.train} for curve in (rerun, submitted))
    differences = tuple((step, ours[step] - theirs[step]) for step in ours if step in theirs)
    threshold = _threshold([loss for _, loss in differences])
    step = _stays_apart(differences, threshold) if threshold is not None else None
    train = _parting(step, ours, theirs) if step is not None else None
    return Overlay(seed, log.path, submitted, differences, threshold, train, _validation(rerun, submitted))


def _log_of(evidence: Evidence, seed: int) -> Log | None:
    """The log of a seed that has losses by step: one that states the seed, of the claimed runs if it may be."""
    logs = (log for log in (*evidence.claimed_logs, *evidence.logs) if log.is_of(str(seed)))
    return next((log for log in logs if curve_of(log).last_step is not None), None)


def _is_loss(value: float) -> bool:
    return math.isfinite(value) and abs(value) < LARGEST_FIGURE


def _thinned(points: Sequence[T]) -> tuple[T, ...]:
    """Every point, every second, fourth … and the last: curves of different lengths keep steps in common."""
    stride = 1
    while len(points) > stride * (MOST_POINTS - 1):
        stride *= 2
    return (*points[:-1:stride], *points[-1:])


def _threshold(differences: Sequence[float]) -> float | None:
    """What the mean of a window has to go beyond; the median keeps one jump from counting as noise."""
    if len(differences) < WINDOW:
        return None
    triples = zip(differences, differences[1:], differences[2:], strict=False)
    rough = median(abs(value - (before + after) / 2) for before, value, after in triples)
    noise = _NORMAL * rough / math.sqrt(1.5)  # such a distance has 1.5 times the variance of a value
    return max(LEAST_DIFFERENCE, DEVIATIONS * noise / math.sqrt(WINDOW))


def _stays_apart(differences: Sequence[tuple[int, float]], threshold: float) -> int | None:
    """The first step from which on every window lies beyond the threshold, on one side; ``None`` if the last does not.

    Curves of different seeds are apart in the first steps, where the loss falls fast, and come together again.
    """
    windows = [differences[start : start + WINDOW] for start in range(len(differences) - WINDOW + 1)]
    means = [fmean(loss for _, loss in window) for window in windows]
    side = math.copysign(1.0, means[-1])
    apart = list(
        takewhile(lambda pair: pair[0] * side > threshold, zip(reversed(means), reversed(windows), strict=True))
    )
    return next(step for step, loss in apart[-1][1] if loss * side > threshold) if apart else None


def _validation(rerun: Curve, submitted: Curve) -> Parting | None:
    """A validation loss is a mean over the whole text: one difference beyond what seeds differ by is enough."""
    ours, theirs = ({point.step: point.loss for point in curve.validation} for curve in (rerun, submitted))
    apart = (step for step in ours if step in theirs and abs(ours[step] - theirs[step]) > LEAST_DIFFERENCE)
    step = next(apart, None)
    return _parting(step, ours, theirs) if step is not None else None


def _parting(step: int, ours: Mapping[int, float], theirs: Mapping[int, float]) -> Parting:
    later = [ours[each] - theirs[each] for each in ours if each in theirs and each >= step]
    return Parting(step, ours[step], theirs[step], len(later), fmean(later))
