"""Bytes that count against the cap, as several sums: what the log adds up, what is shipped, what the script leans on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pgaudit.evidence.logs import Log, LoggedSize
from pgaudit.submission import Submission

_ARTIFACT = re.compile(r"\.(?:ptz\w*|xz|lzma|br|zst|zlib|gz)$|\.int\d\w*$", re.IGNORECASE)
_CODE = re.compile(r"\.(?:py|pyx|c|cc|cpp|cu|cuh|h|hpp|rs|so)$")
_COMPRESSED = re.compile(
    r"int\d|quant|zlib|zstd|lzma|bro|xz|ternary|binary|compress|codebook|awq|export|pergroup|artifact|budget|final|\+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RunSize:
    """The size of the artifact that one log reports."""

    log: str
    total: LoggedSize
    """Code and model as the run added them up."""
    code: LoggedSize | None
    """The code size in that sum."""

    @property
    def model(self) -> int | None:
        """Bytes of the compressed model; ``None`` if the log does not say how much of its sum is code."""
        return self.total.bytes - self.code.bytes if self.code else None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every size that can be had without running anything, in bytes."""

    script: int | None
    """The main script as shipped; of several packed forms of it beside each other, the smallest."""
    helpers: dict[str, int]
    """Other shipped code files that the main script names."""
    artifacts: dict[str, int]
    """Shipped files that look like compressed weights."""
    runs: tuple[RunSize, ...]
    """One per log that states a total."""


def measure(submission: Submission, main: str | None, main_text: str, logs: tuple[Log, ...]) -> Sizes:
    """Add up what a submission ships and what its logs state; ``main_text`` is the main script, unpacked."""
    files = {path: file.size for path, file in submission.files.items() if file.size is not None}
    helpers = {path: size for path, size in files.items() if path != main and is_code(path) and _named(path, main_text)}
    artifacts = {path: size for path, size in files.items() if _ARTIFACT.search(path)}
    runs = tuple(run for log in logs if (run := run_size(log)))
    forms = [size for path, size in files.items() if main and (path == main or path.startswith(f"{main}."))]
    return Sizes(min(forms, default=None), helpers, artifacts, runs)


def is_code(path: str) -> bool:
    """Whether a file counts as code, by its name."""
    return _CODE.search(path) is not None


def run_size(log: Log) -> RunSize | None:
    """What the log says of the artifact that it scored: its last compressed model, with the code.

    Scripts print the size of the uncompressed model first, as a "submission size" of its own; that sum is not meant.
    """
    stated = [size for size in log.sizes if size.kind != "code" and log.counts(size.location)]
    last = max((index for index, size in enumerate(stated) if _COMPRESSED.search(size.label)), default=None)
    if last is None:
        return _unlabelled(log)
    follows = stated[last + 1] if last + 1 < len(stated) else None
    chosen = follows if follows and follows.kind == "total" and stated[last].kind == "model" else stated[last]
    code = _code_before(log, chosen)
    if chosen.kind == "total":
        return RunSize(log.path, chosen, code)
    if code is None:
        return None
    return RunSize(log.path, LoggedSize("total", chosen.label, chosen.bytes + code.bytes, chosen.location), code)


def _unlabelled(log: Log) -> RunSize | None:
    """The last total, unless it is the sum of the only model that the log states: an uncompressed one."""
    if not log.totals:
        return None
    chosen = log.totals[-1]
    code = _code_before(log, chosen)
    models = [size.bytes + code.bytes for size in log.sizes if size.kind == "model" and code]
    return None if chosen.bytes in models else RunSize(log.path, chosen, code)


def _code_before(log: Log, size: LoggedSize) -> LoggedSize | None:
    line = size.location.line or 0
    return next((s for s in reversed(log.sizes) if s.kind == "code" and (s.location.line or 0) <= line), None)


def _named(path: str, text: str) -> bool:
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0]
    return bool(re.search(rf"\b(?:import|from)\s+{re.escape(stem)}\b|{re.escape(name)}", text))
