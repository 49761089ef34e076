"""The stages of a run as its output shows them, on the supervisor's own clock.

What a line means is read by the same reader as shipped logs are; when it came is not taken from the line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pgaudit.evidence.logs import Kept, Reader

BATCHED = 0.005
"""Seconds: lines nearer than this came out of one buffer and say nothing of when they were printed."""


class Stage(StrEnum):
    """What a run is at."""

    STARTING = "starting"
    TRAINING = "training"
    EVALUATING = "evaluating"
    SCORED = "scored"


@dataclass
class Stages:
    """Follows one run. Times are seconds since its start."""

    reader: Reader = field(default_factory=lambda: Reader("output"))
    stage: Stage = Stage.STARTING
    first_step: float | None = None
    """When the first line of a training step came."""
    last_step: float | None = None
    trained: float | None = None
    """When the first line came that only a finished training prints: why it stopped, its last step, a size, a score."""
    scored: float | None = None
    """When the last whole score after training came."""
    stepping: float = 0.0
    """Seconds between neighbouring lines of training steps, those with a validation between them left out: what training
    took at the least."""
    compared: float = 0.0
    """The part of it for which the log has a time of its own."""
    reported: float = 0.0
    """The log's own time for that part."""
    batched: int = 0
    """Lines of training steps that came together with the one before."""
    lines: int = 0
    arrivals: Kept[tuple[int, float]] = field(default_factory=Kept)
    """Number of each line of a training step, and when it came."""
    _previous: tuple[float, float | None] | None = None
    """When the last line of a step came, and its own time; none after a validation."""

    def take(self, line: str, now: float) -> None:
        """Read one line of output that came at ``now``."""
        reader = self.reader
        steps, sizes, stops = len(reader.train_steps), len(reader.sizes), len(reader.stops)
        whole = len(reader.whole)
        last = reader.train_steps[-1] if reader.train_steps else None
        self.lines += 1
        reader.take(self.lines, line)
        if reader.train_steps and reader.train_steps[-1] is not last:
            self._step(now)
        elif len(reader.train_steps) != steps:  # pragma: no cover -- a full list that was thinned out
            self._previous = None
        scores = reader.whole[whole:]
        if any(score.step is not None for score in scores):
            self._previous = None  # the clock of most scripts stands still while they validate
        if self.first_step is None and not scores:
            return
        after = [score for score in scores if score.val_bpb and score.step is None]
        if len(reader.sizes) > sizes or len(reader.stops) > stops or after or self._last_step_scored():
            self._end_training(now)
        if after:
            self.scored, self.stage = now, Stage.SCORED

    @property
    def training(self) -> float | None:
        """Seconds from the first step's line to the first line after training: what it took at the most, but for the first step."""
        return None if self.trained is None or self.first_step is None else self.trained - self.first_step

    @property
    def evaluation(self) -> float | None:
        """Seconds from the end of training to the last score, packing the artifact included."""
        return None if self.scored is None or self.trained is None else self.scored - self.trained

    def _step(self, now: float) -> None:
        seconds = self.reader.train_steps[-1].seconds
        if self.first_step is None:
            self.first_step, self.stage = now, Stage.TRAINING
        if self._previous is not None:
            then, before = self._previous
            self.stepping += now - then
            self.batched += now - then < BATCHED
            if before is not None and seconds is not None and seconds >= before:
                self.compared += now - then
                self.reported += seconds - before
        self.last_step = now
        self.arrivals.append((self.lines, now))
        self._previous = now, seconds

    def _last_step_scored(self) -> bool:
        """The validation that follows the last step: it is printed with the total."""
        steps, scores = self.reader.train_steps, self.reader.whole
        return bool(steps and scores and steps[-1].step >= steps[-1].total and scores[-1].step == steps[-1].total)

    def _end_training(self, now: float) -> None:
        if self.trained is None and self.first_step is not None:
            self.trained, self.stage = now, Stage.EVALUATING
