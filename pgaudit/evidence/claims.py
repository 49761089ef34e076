"""submission.json to claims: what the author says of the score, the size, the time and the seeds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from pgaudit.evidence.reading import place
from pgaudit.finding import Location
from pgaudit.source.text import decode
from pgaudit.submission import File

MAX_DEPTH = 40
"""Values nested deeper than this are not read; the deepest real file has nine levels."""
MAX_VALUES = 100_000
"""A file with more values than this is read so far only."""

ALIASES = {
    "val_bpb": (
        "val_bpb",
        "mean_val_bpb",
        "val_bpb_mean",
        "three_seed_mean_bpb",
        "mean_bpb",
        "bpb_mean",
        "final_val_bpb",
        "val_bpb_exact",
        "val_bpb_mean_3seed",
        "val_bpb_3seed_mean",
        "final_bpb",
        "bpb",
        "score",
    ),
    "val_loss": ("val_loss", "mean_val_loss", "val_loss_mean", "val_loss_nats", "final_val_loss", "val_loss_exact"),
    "bytes_total": (
        "bytes_total",
        "artifact_bytes",
        "artifact_bytes_max",
        "total_bytes",
        "artifact_size_bytes",
        "artifact_bytes_mean",
        "total_submission_bytes",
        "submission_bytes",
        "total_submission_size_bytes",
        "max_artifact_bytes",
        "bytes_total_max",
        "total_size_bytes",
    ),
    "bytes_code": ("bytes_code", "code_bytes", "code_size_bytes", "code_compressed_bytes", "code_size"),
    "bytes_model": ("bytes_model", "model_bytes", "bytes_model_compressed", "model_ptz_bytes", "quantized_model_bytes"),
    "train_seconds": (
        "train_seconds",
        "train_time_seconds",
        "training_time_seconds",
        "train_time_s",
        "wallclock_seconds",
        "train_wallclock_s",
        "train_time_s_mean",
        "train_wallclock_seconds",
        "training_seconds",
    ),
    "train_ms": ("train_time_ms", "train_wallclock_ms", "training_time_ms"),
    "eval_seconds": (
        "eval_seconds",
        "eval_time_seconds",
        "eval_time_s",
        "total_eval_time_s",
        "eval_time_s_mean",
        "ttt_eval_time_s",
    ),
    "eval_ms": ("eval_time_ms", "total_eval_time_ms"),
    "steps": (
        "steps",
        "step_stop",
        "train_steps",
        "training_steps",
        "stop_step",
        "steps_completed",
        "train_steps_mean",
    ),
    "n_seeds": ("n_seeds", "num_seeds", "seed_count", "n_runs", "num_runs"),
    "seed": ("seed",),
    "track": ("track",),
    "author": ("author", "authors"),
    "github_id": ("github_id", "github", "github_username", "github_handle", "author_github"),
    "name": ("name", "submission_name", "title", "run_name"),
    "techniques": ("techniques", "technique", "technique_summary", "method", "tags"),
    "date": ("date", "submission_date"),
    "tokenizer": ("tokenizer", "tokenizer_type", "tokenizer_name"),
    "vocab_size": ("vocab_size",),
    "val_tokens": ("val_tokens", "target_tokens", "tokens_scored"),
    "hardware": ("hardware", "gpu", "gpu_type", "gpu_config", "gpus"),
}
"""Canonical claim to the keys that state it, the one to believe first."""

Path = tuple[str, ...]

_CANONICAL = {key: (name, rank) for name, keys in ALIASES.items() for rank, key in enumerate(keys)}
_SEED_KEY = re.compile(r"(?:seed_?)?(\d{1,10})(?:_\w+)?")
_COLON = re.compile(r"\s*:")
_INDEX = re.compile(r"\[(\d{1,9})\]")
_OF_SEEDS = re.compile(r"_(?:seeds|per_seed|by_seed)$|^per_seed_")
_CONTAINERS = {
    "seed_results",
    "seeds",
    "per_seed",
    "per_seed_results",
    "results_per_seed",
    "seed_metrics",
    "results",
    "runs",
    "metrics",
    "final",
    "submission",
    "scores",
    "summary",
    "mean",
    "aggregate",
    "result",
}
"""Objects that group the submission's own claims; under any other name (an ablation, a baseline) they are not its claims."""


_FRACTION = re.compile(r"(?<![\w.])\d{1,6}\.\d{1,12}(?!\.?\w)")


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of submission.json."""

    name: str
    """Canonical name, a key of ``ALIASES``."""
    value: object
    """As written in the file: a number, a string, ``None`` … (``numbers.number`` reads it)."""
    key: str
    """Path of keys in the document: ``seed_results.42.val_bpb``."""
    seed: str | None
    """The seed that it is stated for; ``None`` for the submission as a whole."""
    location: Location


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """Why a file is not the JSON object that it should be."""

    message: str
    location: Location


@dataclass(frozen=True)
class Claims:
    """Everything that a submission.json states."""

    path: str
    document: object = None
    """The decoded document; ``None`` where ``problem`` says why there is none."""
    problem: DocumentProblem | None = None
    duplicates: tuple[str, ...] = ()
    """Keys that an object holds more than once (JSON keeps the last)."""
    stated: tuple[Claim, ...] = ()
    """Recognised claims in document order."""
    lines: dict[str, int] = field(default_factory=dict, repr=False)
    """Line of every key path."""

    def get(self, name: str, seed: str | None = None) -> Claim | None:
        """The claim ``name`` of one seed, or of the whole submission: the most usual of its keys wins."""
        found = [claim for claim in self.stated if claim.name == name and claim.seed == seed]
        return min(found, key=lambda claim: (claim.key.count("."), _rank(claim.key)), default=None)

    def per_seed(self, name: str) -> dict[str, Claim]:
        """The claim ``name`` of every seed that has one."""
        return {seed: claim for seed in self.seeds if (claim := self.get(name, seed))}

    @cached_property
    def seeds(self) -> tuple[str, ...]:
        """The seeds that the author names, in document order."""
        return tuple(dict.fromkeys(claim.seed for claim in self.stated if claim.seed is not None))

    def fractions(self) -> Iterator[float]:
        """Every number with a fraction that stands anywhere in the document."""
        yield from (part for part in self._leaves() if isinstance(part, float))

    def fractions_in_words(self) -> Iterator[float]:
        """The same inside its sentences."""
        for part in self._leaves():
            if isinstance(part, str):
                yield from map(float, _FRACTION.findall(part))

    def _leaves(self) -> Iterator[object]:
        pending = [self.document]
        while pending:
            part = pending.pop()
            yield part
            pending.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())

    def at(self, key: str = "") -> Location:
        """Where a key path stands; the file as a whole for an unknown one."""
        line = self.lines.get(key)
        return Location(self.path, line, text=f'"{key.rpartition(".")[2]}"') if line else Location(self.path)


def read_claims(file: File) -> Claims:
    """Read a submission.json; what is wrong with it is in ``problem`` and ``duplicates``. Raises ``UnreadableFile``."""
    text = decode(file.data).text
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        collected = dict(items)
        if len(collected) < len(items):
            names = [name for name, _ in items]
            duplicates.extend(sorted({name for name in names if names.count(name) > 1}))
        return collected

    try:
        document = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        return Claims(file.path, problem=DocumentProblem(error.msg, _line(file.path, text, error.lineno)))
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "holds a number with too many digits"
        return Claims(file.path, problem=DocumentProblem(reason, Location(file.path)))
    if not isinstance(document, dict):
        kind = {list: "a list", str: "a string", type(None): "null"}.get(type(document), "a number or truth value")
        return Claims(file.path, document, DocumentProblem(f"holds {kind}, not an object", _line(file.path, text, 1)))
    leaves = tuple(islice(_leaves(document, _Lines(text)), MAX_VALUES))
    lines = {".".join(path): line for path, _, line in leaves}
    stated = tuple(_claims(file.path, text.split("\n"), leaves))
    return Claims(file.path, document, None, tuple(duplicates), stated, lines)


def _line(path: str, text: str, line: int) -> Location:
    return place(path, line, text.split("\n")[line - 1])


def _rank(key: str) -> int:
    return _CANONICAL.get(key.rpartition(".")[2].lower(), ("", 99))[1]


class _Lines:
    """Finds the line of every key. JSON keeps the order of keys, so that one walk through the text meets them all."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.cursor = 0
        self.line = 1
        self.spellings = [False, True]  # of letters beyond ASCII: as they are, escaped

    def of(self, key: str) -> int:
        """The line of the next ``key``; that of the last key found if it is not there as it should be."""
        # A spelling that was missed once is not tried again: a search to the end for every key would be quadratic.
        for escaped in tuple(self.spellings):
            quoted = json.dumps(key, ensure_ascii=escaped)
            start = self._search(quoted)
            if start >= 0:
                self.line += self.text.count("\n", self.cursor, start)
                self.cursor = start + len(quoted)
                break
            self.spellings.remove(escaped)
        return self.line

    def _search(self, quoted: str) -> int:
        start = self.text.find(quoted, self.cursor)
        while start >= 0 and not _COLON.match(self.text, start + len(quoted)):
            start = self.text.find(quoted, start + 1)
        return start


def _leaves(value: object, lines: _Lines, path: Path = ()) -> Iterator[tuple[Path, object, int]]:
    """Every value below ``value`` with its key path and line; objects and lists themselves included."""
    if len(path) > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*path, key), child, lines.of(key)
            yield from _leaves(child, lines, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            seed = child.get("seed") if isinstance(child, dict) else None
            name = str(seed) if isinstance(seed, (str, int)) else f"[{index}]"
            yield (*path, name), child, lines.line
            yield from _leaves(child, lines, (*path, name))


def _claims(path: str, lines: list[str], leaves: tuple[tuple[Path, object, int], ...]) -> Iterator[Claim]:
    for keys, value, line in leaves:
        if isinstance(value, (dict, list)):
            continue
        name, seed = _meaning(keys, value)
        if name:
            yield Claim(name, value, ".".join(keys), seed, place(path, line, lines[line - 1]))


def _meaning(keys: Path, value: object) -> tuple[str, str | None]:
    """The canonical claim and the seed that a value is stated for; an empty name for anything else."""
    if keys[0] == "seeds" and len(keys) == 2 and _INDEX.fullmatch(keys[1]) and isinstance(value, (int, str)):
        return "seed", str(value)
    seed: str | None = None
    names: list[str] = []
    for key in map(str.lower, keys):
        if match := _INDEX.fullmatch(key):
            seed = seed or f"#{int(match[1]) + 1}"
        elif match := _SEED_KEY.fullmatch(key):
            seed = match[1]
        elif key not in _CONTAINERS:
            names.append(key if key in _CANONICAL else _OF_SEEDS.sub("", key))
    if not names and seed:
        return "val_bpb", seed
    return (_CANONICAL[names[0]][0], seed) if len(names) == 1 and names[0] in _CANONICAL else ("", None)
