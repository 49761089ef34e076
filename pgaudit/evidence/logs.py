"""Training and evaluation logs to facts, each with its line.

Read once, line by line; of each kind of fact a bounded number is kept. Printed source code is left out. Several runs may follow each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from pgaudit.evidence import log_patterns as patterns
from pgaudit.evidence.log_text import parts
from pgaudit.evidence.numbers import Figure
from pgaudit.evidence.reading import Reading, place
from pgaudit.finding import Location
from pgaudit.submission import File

LONGEST = 1e9
"""Seconds: longer times are no times."""
BARE_MILLISECONDS = 10_000.0
"""A bare training time from here on is in milliseconds."""
LEAST_FIGURE, LARGEST_FIGURE = 1e-12, 1e6
"""Losses and scores outside are none; leaking caches reached scores below 1e-6 (#959)."""
MOST_KEPT = 10_000
"""Facts of a kind that a log may have; of more, every second one is forgotten, but neither the first nor the newest."""
_UNITS = {"ms": 0.001, "m": 60.0, "h": 3600.0, "": 1.0}
"""Seconds; longer spellings begin with ``m``, ``h`` or ``s``."""
T = TypeVar("T")


class Stop(StrEnum):
    """Why training ended."""

    WALLCLOCK = "wallclock cap"
    ITERATIONS = "iterations reached"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Metric:
    """One line that prints a validation score."""

    stage: str
    """The words before the numbers: ``final_int8_zlib_roundtrip_exact``, ``step`` …"""
    val_loss: Figure | None
    """Nats per token."""
    val_bpb: Figure | None
    """Bits per byte."""
    step: int | None
    """Training step, for a score taken during training."""
    partial: bool
    """A running value of an evaluation that goes on."""
    location: Location

    @property
    def tokens_per_byte(self) -> float | None:
        """``val_bpb · ln 2 / val_loss``: constant for a tokenizer on the fixed validation text."""
        if not self.val_loss or not self.val_bpb:
            return None
        loss, bpb = self.val_loss.value, self.val_bpb.value
        return bpb * math.log(2) / loss if 0 < loss < math.inf and 0 < bpb < math.inf else None


@dataclass(frozen=True, slots=True)
class TrainStep:
    """One line of training progress."""

    step: int
    total: int
    train_loss: float
    seconds: float | None
    """Training time so far."""
    line: int


@dataclass(frozen=True, slots=True)
class Timing:
    """A duration that the log states."""

    name: str
    """The key it was printed under: ``train_time``, ``eval_time``, ``elapsed`` …"""
    stage: str
    seconds: float
    location: Location


@dataclass(frozen=True, slots=True)
class LoggedSize:
    """A size that the log states, in bytes."""

    kind: str
    """``total`` (code and model), ``code`` or ``model``."""
    label: str
    bytes: int
    location: Location


@dataclass(frozen=True, slots=True)
class Denominator:
    """A line that states how many tokens and how many bytes were scored."""

    tokens: int
    bytes: int
    location: Location


@dataclass(frozen=True)
class Log:
    """The facts of one log; several runs may have been written into it, one after the other."""

    path: str
    lines: int
    metrics: tuple[Metric, ...] = ()
    train_steps: tuple[TrainStep, ...] = ()
    timings: tuple[Timing, ...] = ()
    """Of step lines only the training time that the run ended with."""
    sizes: tuple[LoggedSize, ...] = ()
    seeds: tuple[Reading[int], ...] = ()
    val_tokens: tuple[Reading[int], ...] = ()
    denominators: tuple[Denominator, ...] = ()
    train_shards: tuple[Reading[int], ...] = ()
    train_paths: tuple[Reading[str], ...] = ()
    """Where the training tokens were read from: a directory or a pattern."""
    world_size: Reading[int] | None = None
    gpus: tuple[str, ...] = ()
    settings: Mapping[str, Reading[str]] = field(default_factory=dict)
    """``name: value`` lines printed before training begins, the first of each name."""
    embedded: tuple[tuple[int, int], ...] = ()
    """First and last line of each source text printed into the log."""
    tracebacks: tuple[Location, ...] = ()
    stops: tuple[Reading[Stop], ...] = ()
    """Lines that say why training ended."""
    runs: tuple[tuple[int, int], ...] = ()
    """First and last line of each run: one begins where training begins again at an earlier step."""

    @cached_property
    def run(self) -> tuple[int, int]:
        """The run that counts: the last one that was scored after training, else that was scored at all, else the last."""
        scored = [metric for metric in self.metrics if metric.val_bpb and not metric.partial]
        after = [metric for metric in scored if metric.step is None] or scored
        last = (after[-1].location.line or 0) if after else self.lines
        return next((run for run in reversed(self.runs) if run[0] <= last), (1, self.lines))

    def counts(self, location: Location) -> bool:
        """Whether a line belongs to the run that counts, or stands before it: training and evaluation may be two."""
        return (location.line or 0) <= self.run[1]

    @property
    def final(self) -> Metric | None:
        """The last whole score, one taken after training if there is any; of a model that was trained further it is none."""
        whole = [m for m in self.metrics if m.val_bpb and not m.partial and self.counts(m.location)]
        after = next((m for m in reversed(whole) if m.step is None), None)
        return after or next((m for m in reversed(whole) if m.step or not self.train_steps), None)

    @property
    def train_time(self) -> Timing | None:
        """The training time that the run ended with."""
        return next(self._train_times(), None)

    @property
    def loop_time(self) -> Timing | None:
        """The same without what a total may hold beside the training loop: compilation, calibration."""
        return next((timing for timing in self._train_times() if not timing.name.startswith("total")), self.train_time)

    def _train_times(self) -> Iterator[Timing]:
        spent = (timing for timing in reversed(self.timings) if is_train_time(timing.name) and timing.seconds > 0)
        return (timing for timing in spent if self.counts(timing.location))

    @property
    def stop(self) -> Stop | None:
        """Why training ended, where the log shows it."""
        first, last = self.run
        stated = [stop.value for stop in self.stops if first <= (stop.location.line or 0) <= last]
        steps = [step for step in self.train_steps if first <= step.line <= last]
        if stated:
            return stated[-1]
        scored = {metric.step for metric in self.metrics if first <= (metric.location.line or 0) <= last}
        if steps and (steps[-1].step >= steps[-1].total or steps[-1].total in scored):
            return Stop.ITERATIONS
        return Stop.CRASH if any(first <= (place.line or 0) <= last for place in self.tracebacks) else None

    @property
    def eval_times(self) -> tuple[Timing, ...]:
        """Every timed stage of evaluation."""
        return tuple(
            timing
            for timing in self.timings
            if "eval" in timing.name and "since" not in timing.name and timing.seconds > 0
        )

    def is_of(self, seed: str) -> bool:
        """Whether it says that it is of a seed."""
        return any(str(stated.value) == seed for stated in self.seeds)

    @property
    def totals(self) -> tuple[LoggedSize, ...]:
        """The sums of code and model that the log states."""
        return tuple(size for size in self.sizes if size.kind == "total" and self.counts(size.location))


def is_train_time(name: str) -> bool:
    """Whether a duration of this name is the training time."""
    return patterns.UNIT_SUFFIX.sub("", name.lower()) in patterns.TRAIN_TIMES


def is_log(file: File) -> bool:
    """Whether a file is a training or evaluation log: ``*.log`` and ``*.out`` by name, ``*.txt`` if it prints losses or a traceback."""
    suffix = file.name.lower().rpartition(".")[2]
    if suffix in ("log", "out"):
        return True
    if suffix != "txt" or file.problem or patterns.PROSE.match(file.name):
        return False
    return bool(patterns.PRINTED.search(file.data.replace(b"\0", b"")))


def read_log(file: File) -> Log:
    """Read a log. Raises ``UnreadableFile``."""
    reader = Reader(file.path)
    for line, part in parts(file):
        reader.take(line, part)
    return reader.log()


def log_lines(file: File) -> tuple[str, ...]:
    """The lines of a log as text. Raises ``UnreadableFile``."""
    return tuple(part for _, part in parts(file))


def _count(text: str) -> int:
    return int(re.sub("[,_]", "", text))


def _seconds(duration: str, unit: str = "s") -> float:
    """The seconds of ``600028ms``, ``9m 39.58s`` or a bare number in a unit."""
    pieces = patterns.PIECE.findall(duration)
    seconds = sum(float(number) * _UNITS.get(_short(own or unit), 1.0) for number, own in pieces)
    return seconds if seconds < LONGEST else 0.0


def _bare(duration: str) -> float:
    """A training time: without a unit and too long for seconds it counts milliseconds."""
    seconds = _seconds(duration)
    return seconds / 1000 if seconds >= BARE_MILLISECONDS and not duration.rstrip()[-1].isalpha() else seconds


def _figure(text: str) -> Figure | None:
    """A loss or score; numbers that no run has are none."""
    figure = Figure.read(text)
    return figure if LEAST_FIGURE < abs(figure.value) < LARGEST_FIGURE else None


def _short(unit: str) -> str:
    return unit if unit == "ms" else unit[:1]


class Kept(list[T]):
    """A list that keeps its length bounded."""

    def append(self, item: T) -> None:
        """Add the newest; a full list loses every second of the others."""
        if len(self) >= MOST_KEPT:
            del self[1::2]
        super().append(item)


class Reader:
    """Collects what the lines of one log state."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = 0
        self.whole = Kept[Metric]()
        self.partial = Kept[Metric]()
        self.train_steps = Kept[TrainStep]()
        self.timings = Kept[Timing]()
        self.last_train_time: Timing | None = None
        self.sizes = Kept[LoggedSize]()
        self.seeds = Kept[Reading[int]]()
        self.val_tokens = Kept[Reading[int]]()
        self.denominators = Kept[Denominator]()
        self.train_shards = Kept[Reading[int]]()
        self.train_paths = Kept[Reading[str]]()
        self.world_size: Reading[int] | None = None
        self.gpus: dict[str, None] = {}
        self.settings: dict[str, Reading[str]] = {}
        self.embedded = Kept[tuple[int, int]]()
        self.tracebacks = Kept[Location]()
        self.stops = Kept[Reading[Stop]]()
        self.source_start: int | None = None
        self.starts = Kept[int]([1])
        self.scored_again: int | None = None
        """The line of a score at an earlier step: where a run begins, if training goes on from there."""

    def take(self, line: int, part: str) -> None:
        """Read one part of a line."""
        self.lines = line
        if self._in_source(line, part):
            return
        text = part.rstrip()
        if text[:1].isdigit() or text[:1] == "[":
            text = patterns.TIME_STAMP.sub("", text)
        if ("train_loss" in text or " tl:" in text) and "val_" not in text and self._training(line, text):
            return
        lower = text.lower()
        if "bpb" in lower or "val_loss" in lower or "bits_per_byte" in lower:
            self._score(line, text)
        if "stop" in lower or "wall" in lower or "limit" in lower:
            self._stop(line, text)
        if (
            "time" in lower
            or "elapsed" in lower
            or "_ms" in lower
            or "seconds" in lower
            or "train" in lower
            or "tt:" in lower
        ):
            self._time(line, text)
        if "size" in lower or "bytes" in lower or "total" in lower or "code" in lower or "budget:" in lower:
            self._size(line, text)
        if "tokens" in lower:
            self._tokens(line, text)
        if "seed" in lower and (match := patterns.SEED.search(text)):
            self.seeds.append(Reading(int(match[1]), place(self.path, line, text)))
        if "shards" in lower and (match := patterns.SHARDS.search(text)):
            self.train_shards.append(Reading(int(match[1]), place(self.path, line, text)))
        if "train" in lower and (match := patterns.TRAIN_PATH.search(text)):
            self.train_paths.append(Reading(match[1] or match[2], place(self.path, line, text)))
        if "world" in lower and not self.world_size and (match := patterns.WORLD.search(text)):
            self.world_size = Reading(int(match[1]), place(self.path, line, text))
        if "NVIDIA" in text and len(self.gpus) < MOST_KEPT and (match := patterns.GPU.search(text)):
            self.gpus[match[1].strip()] = None
        if text.startswith("Traceback (most recent call last)"):
            self.tracebacks.append(place(self.path, line, text))
        if not self.train_steps and len(self.settings) < MOST_KEPT:
            self._setting(line, text)

    def log(self) -> Log:
        """What was collected."""
        if self.source_start is not None:
            self.embedded.append((self.source_start, self.lines))
        if self.last_train_time:
            self.timings.append(self.last_train_time)
        ends = (*(start - 1 for start in self.starts[1:]), self.lines)
        return Log(
            self.path,
            self.lines,
            tuple(sorted((*self.whole, *self.partial), key=lambda metric: metric.location.line or 0)),
            tuple(self.train_steps),
            tuple(sorted(self.timings, key=lambda timing: timing.location.line or 0)),
            tuple(self.sizes),
            tuple(self.seeds),
            tuple(self.val_tokens),
            tuple(self.denominators),
            tuple(self.train_shards),
            tuple(self.train_paths),
            self.world_size,
            tuple(self.gpus),
            self.settings,
            tuple(self.embedded),
            tuple(self.tracebacks),
            tuple(self.stops),
            tuple(zip(self.starts, ends, strict=True)),
        )

    def _in_source(self, line: int, part: str) -> bool:
        if self.source_start is None:
            if part.startswith(("import ", "from ")) and patterns.SOURCE_STARTS.match(part.rstrip()):
                self.source_start = line
                return True
            return False
        if part[:1].isspace() or not patterns.SOURCE_ENDS.match(part):
            return True
        self.embedded.append((self.source_start, line - 1))
        self.source_start = None
        return False

    def _training(self, line: int, text: str) -> bool:
        match = patterns.TRAINING.search(text)
        if match is None:
            return False
        step = int(match[1])
        if self.train_steps and step < self.train_steps[-1].step:
            self._begin_run(self.scored_again or line)
        self.scored_again = None
        spent = match[4] or ((other := patterns.ELAPSED.search(text)) and other[1])
        seconds = _bare(spent) if spent else None
        self.train_steps.append(TrainStep(step, int(match[2]), float(match[3]), seconds, line))
        if seconds:
            self.last_train_time = Timing("train_time", "step", seconds, place(self.path, line, text))
        return True

    def _begin_run(self, line: int) -> None:
        self.starts.append(line)
        if self.last_train_time:
            self.timings.append(self.last_train_time)
            self.last_train_time = None

    def _score(self, line: int, text: str) -> None:
        found = list(patterns.METRIC.finditer(text))
        bpb = [match for match in found if _is_score(match[1].lower(), match[2])]
        loss = [m for m in found if m[1].lower() in ("val_loss", "loss", "vl", "model_val_loss", "ngram_val_loss")]
        if not bpb and not (loss and "val_loss" in text):
            return
        match = patterns.STEP.search(text)
        step = int(match[1] or match[2]) if match else None
        paired = len(bpb) == len(loss)
        stage = text[: min(m.start() for m in (*bpb, *loss))].strip(" \t:|-–—>*")
        partial = bool(patterns.PARTIAL.search(text))
        where = place(self.path, line, text)
        if step is not None and self.train_steps and step < self.train_steps[-1].step:
            self.scored_again = self.scored_again or line
        for index in range(max(len(bpb), 1)):
            (self.partial if partial else self.whole).append(
                Metric(
                    stage if step is None else "step",
                    _figure(loss[index][2]) if paired or not bpb else None,
                    _figure(bpb[index][2]) if bpb else None,
                    step,
                    partial,
                    where,
                )
            )

    def _time(self, line: int, text: str) -> None:
        if patterns.PARTIAL.search(text):
            return
        step = patterns.STEP.search(text)
        where = place(self.path, line, text)
        of_training = False
        for match in patterns.TIMING.finditer(text):
            name = "train_time" if (step and _so_far(match[1].lower(), step, text)) or match[1] == "tt" else match[1]
            if patterns.BUDGET.search(name):
                continue
            unit = patterns.UNIT_SUFFIX.search(name)
            seconds = _seconds(match[2], unit[1]) if unit else _bare(match[2])
            timing = Timing(name, text[: match.start()].strip(" \t:"), seconds, where)
            if is_train_time(name) and not name.startswith("total"):
                of_training = True
                self._trained(timing)
            elif not step:
                self.timings.append(timing)
        if not of_training and (said := patterns.TRAINED.search(text)):
            self._trained(Timing("train_time", text[: said.start()].strip(" \t:"), _seconds(said[1]), where))

    def _trained(self, timing: Timing) -> None:
        """A later time replaces an earlier one, unless a summary only repeats it with fewer digits."""
        last = self.last_train_time.seconds if self.last_train_time else 0.0
        if timing.seconds > 0 and timing.seconds not in (round(last), round(last, 1)):
            self.last_train_time = timing

    def _stop(self, line: int, text: str) -> None:
        if patterns.STOP.search(text):
            stop = Stop.ITERATIONS if patterns.STEP_CAP.search(text) else Stop.WALLCLOCK
            self.stops.append(Reading(stop, place(self.path, line, text)))

    def _size(self, line: int, text: str) -> None:
        where = place(self.path, line, text)
        found = (pattern.search(text) for pattern in patterns.TOTALS)
        total = next(filter(None, found), None)
        parts = total.groupdict() if total else {}
        stated = patterns.CODE.search(text)
        if code := parts.get("code") or (stated and (stated[1] or stated[2])):
            self.sizes.append(LoggedSize("code", "code", _count(code), where))
        if total is None and any(size.kind == "code" for size in self.sizes):
            total = patterns.TOTAL_BYTES.search(text)
        if total:
            label = text[: total.start("total")].strip(" \t:=\"'")
            self.sizes.append(LoggedSize("total", label, _count(total["total"]), where))
        elif match := patterns.MODEL.search(text):
            self.sizes.append(LoggedSize("model", match[1].strip(), _count(match[2]), where))

    def _tokens(self, line: int, text: str) -> None:
        where = place(self.path, line, text)
        if match := patterns.VAL_TOKENS.search(text):
            self.val_tokens.append(Reading(_count(match[1]), where))
        if match := patterns.COUNTED.search(text):
            self.denominators.append(Denominator(int(match[1]), int(match[2]), where))

    def _setting(self, line: int, text: str) -> None:
        where = place(self.path, line, text)
        if match := patterns.SETTING.match(text):
            self.settings.setdefault(match[1], Reading(match[2].strip(), where))
            return
        words = text.split()
        pairs = [patterns.PAIR.fullmatch(word) for word in words]
        if words and all(pairs):
            for pair in pairs:
                if pair:
                    self.settings.setdefault(pair[1], Reading(pair[2], where))


def _so_far(name: str, step: re.Match[str], text: str) -> bool:
    """Whether a duration on the line of a step is the training time until then, not that of the step or its evaluation."""
    return name == "elapsed" or (name == "time" and (" avg:" in text or step[2] is not None))


def _is_score(name: str, value: str) -> bool:
    """Whether a name stands for bits per byte of validation text, not for a difference or training text."""
    return name.endswith(("bpb", "bits_per_byte")) and not re.search("train|delta", name) and not value.startswith("-")
