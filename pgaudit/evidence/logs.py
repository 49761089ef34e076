"""Training and evaluation logs to facts, each with its line.

A log is read once, line by line. Carriage returns (progress bars) split a line into parts that share its number;
terminal colours are removed; source code that the script printed into its log is recognised and left out.
"""

from __future__ import annotations

import codecs
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pgaudit.evidence.numbers import Figure
from pgaudit.evidence.reading import Reading, place
from pgaudit.finding import Location
from pgaudit.submission import File

MAX_PART = 4_000
"""Longer lines hold packed source or tensors, never a metric; a dump of settings on one line may have 3,000 characters."""

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_COUNT = r"(\d{1,3}(?:[,_]\d{3})+|\d+)"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TIME_STAMP = re.compile(r"^\[?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|\d{9,10}\.\d+)\]?\s")
_METRIC = re.compile(rf"\b(\w*bpb|\w*loss|vl)\b\s*[:=]\s*({_NUMBER})(?![\w.])", re.IGNORECASE)
_STEP = re.compile(r"(?:\bstep\s*[:= ]\s*|^\s*)(\d+)\s*/\s*(\d+)\b", re.IGNORECASE)
_TRAINING = re.compile(
    rf"(\d+)\s*/\s*(\d+)\b.{{0,120}}?\btrain_loss\s*[:=]\s*({_NUMBER})(?:.{{0,200}}?\btrain_time\s*[:=]\s*({_NUMBER})\s*(ms|s|m|h)?)?"
)
_PARTIAL = re.compile(
    r"running|progress|\[\s*\d+\s*/\s*\d+\s*\]|\d\s*%|\b(?:chunk|batch|docs?|doc|pass)\W?\s*=?\d+/\d+", re.IGNORECASE
)
_TIMING = re.compile(
    rf"\b(\w*(?:time|elapsed|seconds|_ms))\s*[:=]\s*({_NUMBER})\s*(ms|s|m|h|min|sec|seconds)?(?![\w.])"
)
_UNITS = {"ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}
_TRAIN_TIMES = frozenset({"train_time", "training_time", "total_train_time", "train_seconds", "training_seconds"})
_TOTAL = re.compile(
    rf"^(.*?(?:total[ _](?:\w+[ _])?submission|total_artifact_bytes|final_submission_bytes)[^:=]{{0,80}})[:=]\s*{_COUNT}\s*(?:bytes|B)?(?![\w.])",
    re.IGNORECASE,
)
_SUMMED = re.compile(rf"\bcode(?:_bytes)?\s*[:=]\s*{_COUNT}\b.{{0,80}}?\btotal\s*[:=]\s*{_COUNT}\b")
_CODE = re.compile(rf"\bcode[ _](?:size|bytes)[^:=]{{0,40}}[:=]\s*{_COUNT}", re.IGNORECASE)
_MODEL = re.compile(
    rf"\b(serialized[ _]\w[^:=]{{0,80}}|quantized model[^:=]{{0,80}})[:=]\s*{_COUNT}\s*(?:bytes|B)", re.IGNORECASE
)
_VAL_TOKENS = re.compile(
    rf"\b(?:val(?:idation)?[_ ]tokens|eval_tokens|N_tokens|scored_tokens|val\w*:.{{0,400}}?\btokens)\b\s*[:=]\s*{_COUNT}(?!\w)",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"\btokens\s*[:=]\s*(\d{6,})\b.{0,80}?bytes\s*[:=]\s*(\d{6,})\b", re.IGNORECASE)
_SEED = re.compile(r"\bseed\s*[:=]\s*(\d+)\b", re.IGNORECASE)
_SHARDS = re.compile(r"\btrain_shards\s*[:=]\s*(\d+)")
_TRAIN_PATH = re.compile(r"\btrain\w*\b.{0,60}?\b(?:pattern|files|path)\s*[:=]\s*(\S+)", re.IGNORECASE)
_WORLD = re.compile(r"\bworld_size\s*[:=]\s*(\d+)", re.IGNORECASE)
_GPU = re.compile(r"\bNVIDIA\s+(?:GeForce\s+)?((?:H|A|B|L|RTX|GH|GB)\s?\w+(?:[ -]\w+)*)")
_SETTING = re.compile(r"^\s*([A-Za-z_]\w*):\s+(\S.*)$")
_PAIR = re.compile(r"([A-Za-z_]\w*)[:=](\S+)")
_SOURCE_STARTS = re.compile(r"(?:import [A-Za-z_][\w.]*(?: as \w+)?\s*(?:,.*)?|from [\w.]+ import .+)$")
_SOURCE_ENDS = re.compile(
    r"={20,}\s*$|Running (?:Python|PyTorch)|(?:val_bpb:enabled|warmup_step:|step:\d|world_size[:=]|train_loader:|model_params:)"
    r"|[\w ]*\bval_(?:loss|bpb)\s*[:=]\s*\d"
)
_PRINTED = re.compile(
    rb"\b(?:val|train)_(?:loss|bpb)\s*[:=]\s*\d|\bbpb\s*[:=]\s*\d|^Traceback \(most", re.IGNORECASE | re.MULTILINE
)
_PROSE = re.compile(r"(?:requirements|readme|license|notes|citation|pr_body)", re.IGNORECASE)


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

    @property
    def final(self) -> Metric | None:
        """The last whole score, one taken after training if there is any."""
        whole = [metric for metric in self.metrics if metric.val_bpb and not metric.partial]
        return next((m for m in reversed(whole) if m.step is None), whole[-1] if whole else None)

    @property
    def train_time(self) -> Timing | None:
        """The training time that the run ended with."""
        return next(
            (timing for timing in reversed(self.timings) if timing.name.removesuffix("_ms") in _TRAIN_TIMES), None
        )

    @property
    def eval_times(self) -> tuple[Timing, ...]:
        """Every timed stage of evaluation."""
        return tuple(timing for timing in self.timings if "eval" in timing.name and timing.seconds > 0)

    @property
    def totals(self) -> tuple[LoggedSize, ...]:
        """The sums of code and model that the log states."""
        return tuple(size for size in self.sizes if size.kind == "total")


def is_log(file: File) -> bool:
    """Whether a file is a training or evaluation log: ``*.log`` and ``*.out`` by name, ``*.txt`` if it prints losses or a traceback."""
    suffix = file.name.lower().rpartition(".")[2]
    if suffix in ("log", "out"):
        return True
    if suffix != "txt" or file.problem or _PROSE.match(file.name):
        return False
    return bool(_PRINTED.search(file.data.replace(b"\0", b"")))


def read_log(file: File) -> Log:
    """Read a log. Raises ``UnreadableFile``."""
    reader = _Reader(file.path)
    for line, part in _parts(file):
        reader.take(line, part)
    return reader.log()


def log_lines(file: File) -> tuple[str, ...]:
    """The lines of a log as text. Raises ``UnreadableFile``."""
    return tuple(part for _, part in _parts(file))


def _parts(file: File) -> Iterator[tuple[int, str]]:
    """The parts of every line with the line's number, decoded and without colours."""
    stream = file.open()
    head = stream.read(4)
    stream.seek(0)
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    with io.TextIOWrapper(stream, encoding, errors="replace", newline="\n") as text:
        for number, line in enumerate(text, 1):
            clean = _ANSI.sub("", line) if "\x1b" in line else line
            for part in clean.rstrip("\r\n").split("\r"):
                yield number, part[:MAX_PART]


def _count(text: str) -> int:
    return int(re.sub("[,_]", "", text))


class _Reader:
    """Collects what the lines of one log state."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = 0
        self.metrics: list[Metric] = []
        self.train_steps: list[TrainStep] = []
        self.timings: list[Timing] = []
        self.last_train_time: Timing | None = None
        self.sizes: list[LoggedSize] = []
        self.seeds: list[Reading[int]] = []
        self.val_tokens: list[Reading[int]] = []
        self.denominators: list[Denominator] = []
        self.train_shards: list[Reading[int]] = []
        self.train_paths: list[Reading[str]] = []
        self.world_size: Reading[int] | None = None
        self.gpus: dict[str, None] = {}
        self.settings: dict[str, Reading[str]] = {}
        self.embedded: list[tuple[int, int]] = []
        self.tracebacks: list[Location] = []
        self.source_start: int | None = None

    def take(self, line: int, part: str) -> None:
        """Read one part of a line."""
        self.lines = line
        if self._in_source(line, part):
            return
        text = part.rstrip()
        if text[:1].isdigit() or text[:1] == "[":
            text = _TIME_STAMP.sub("", text)
        if "train_loss" in text and "val_" not in text and self._training(line, text):
            return
        lower = text.lower()
        if "bpb" in lower or "val_loss" in lower:
            self._score(line, text)
        if "time" in lower or "elapsed" in lower or "_ms" in lower or "seconds" in lower:
            self._time(line, text)
        if "size" in lower or "bytes" in lower or "total" in lower:
            self._size(line, text)
        if "tokens" in lower:
            self._tokens(line, text)
        if "seed" in lower and (match := _SEED.search(text)):
            self.seeds.append(Reading(int(match[1]), place(self.path, line, text)))
        if "shards" in lower and (match := _SHARDS.search(text)):
            self.train_shards.append(Reading(int(match[1]), place(self.path, line, text)))
        if "train" in lower and (match := _TRAIN_PATH.search(text)):
            self.train_paths.append(Reading(match[1], place(self.path, line, text)))
        if "world_size" in lower and not self.world_size and (match := _WORLD.search(text)):
            self.world_size = Reading(int(match[1]), place(self.path, line, text))
        if "NVIDIA" in text and (match := _GPU.search(text)):
            self.gpus[match[1].strip()] = None
        if text.startswith("Traceback (most recent call last)"):
            self.tracebacks.append(place(self.path, line, text))
        if not self.train_steps:
            self._setting(line, text)

    def log(self) -> Log:
        """What was collected."""
        if self.source_start is not None:
            self.embedded.append((self.source_start, self.lines))
        if self.last_train_time:
            self.timings.append(self.last_train_time)
        return Log(
            self.path,
            self.lines,
            tuple(self.metrics),
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
        )

    def _in_source(self, line: int, part: str) -> bool:
        if self.source_start is None:
            if part.startswith(("import ", "from ")) and _SOURCE_STARTS.match(part.rstrip()):
                self.source_start = line
                return True
            return False
        if part[:1].isspace() or not _SOURCE_ENDS.match(part):
            return True
        self.embedded.append((self.source_start, line - 1))
        self.source_start = None
        return False

    def _training(self, line: int, text: str) -> bool:
        match = _TRAINING.search(text)
        if match:
            seconds = float(match[4]) * _UNITS.get(match[5] or "s", 1.0) if match[4] else None
            self.train_steps.append(TrainStep(int(match[1]), int(match[2]), float(match[3]), seconds, line))
        return bool(match)

    def _score(self, line: int, text: str) -> None:
        found = list(_METRIC.finditer(text))
        bpb = [m for m in found if m[1].lower().endswith("bpb") and "train" not in m[1].lower()]
        loss = [m for m in found if m[1].lower() in ("val_loss", "loss", "vl", "model_val_loss", "ngram_val_loss")]
        step = _STEP.search(text)
        if not bpb and not (loss and "val_loss" in text):
            return
        paired = len(bpb) == len(loss)
        stage = text[: min(m.start() for m in (*bpb, *loss))].strip(" \t:|-–—>*")
        partial = bool(_PARTIAL.search(text))
        where = place(self.path, line, text)
        for index in range(max(len(bpb), 1)):
            self.metrics.append(
                Metric(
                    "step" if step else stage,
                    Figure.read(loss[index][2]) if paired or not bpb else None,
                    Figure.read(bpb[index][2]) if bpb else None,
                    int(step[1]) if step else None,
                    partial,
                    where,
                )
            )

    def _time(self, line: int, text: str) -> None:
        if _PARTIAL.search(text):
            return
        in_training = bool(_STEP.search(text))
        for match in _TIMING.finditer(text):
            unit = match[3] or ("ms" if match[1].endswith("_ms") else "s")
            seconds = float(match[2]) * _UNITS.get(unit, 1.0)
            timing = Timing(match[1], text[: match.start()].strip(" \t:"), seconds, place(self.path, line, text))
            if match[1] == "train_time":
                self.last_train_time = timing
            elif not in_training:
                self.timings.append(timing)

    def _size(self, line: int, text: str) -> None:
        where = place(self.path, line, text)
        total, summed = _TOTAL.match(text), _SUMMED.search(text)
        if code := summed or _CODE.search(text):
            self.sizes.append(LoggedSize("code", "code", _count(code[1]), where))
        if summed and not total:
            self.sizes.append(LoggedSize("total", text[: summed.start()].strip(" :="), _count(summed[2]), where))
        elif total:
            self.sizes.append(LoggedSize("total", total[1].strip(), _count(total[2]), where))
        elif match := _MODEL.search(text):
            self.sizes.append(LoggedSize("model", match[1].strip(), _count(match[2]), where))

    def _tokens(self, line: int, text: str) -> None:
        where = place(self.path, line, text)
        if match := _VAL_TOKENS.search(text):
            self.val_tokens.append(Reading(_count(match[1]), where))
        if match := _COUNTED.search(text):
            self.denominators.append(Denominator(int(match[1]), int(match[2]), where))

    def _setting(self, line: int, text: str) -> None:
        where = place(self.path, line, text)
        if match := _SETTING.match(text):
            self.settings.setdefault(match[1], Reading(match[2].strip(), where))
            return
        words = text.split()
        pairs = [_PAIR.fullmatch(word) for word in words]
        if words and all(pairs):
            for pair in pairs:
                if pair:
                    self.settings.setdefault(pair[1], Reading(pair[2], where))
