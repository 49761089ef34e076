"""Runs one command to its end or to a limit, on a clock of its own, and leaves nothing running."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from pgaudit.reproduce.stages import Stage, Stages
from pgaudit.sandbox import processes

TICK = 0.25
"""Seconds between two looks at the clock while nothing is printed."""
SAMPLE = 1.0
"""Seconds between two looks at processes, memory and disk."""
PATIENCE = 2
"""Times a limit, where something may go on that does not count: validation during training, what follows a score."""
CHUNK = 65_536
MOST_OUTPUT = 512 * 2**20
"""Bytes of output that are kept; a run that prints more is ended."""
LONGEST_LINE = 100_000
TAIL = 40
_ERROR = re.compile(
    r"^(?:\[rank\d+\]:\s*)?((?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Timeout)\b.*)"
)


class Ending(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    CRASHED = "crashed"
    HANG = "hang"
    START_TIME = "start over its time"
    TRAINING_TIME = "training over its time"
    EVALUATION_TIME = "evaluation over its time"
    TOTAL_TIME = "run over its time"
    PROCESSES = "too many processes"
    MEMORY = "too much memory"
    DISK = "too much written"
    OUTPUT = "too much printed"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a run is ended: seconds of each stage on the supervisor's clock, and what it may use in all."""

    start: float = 1800.0
    """Until the first line of a training step: imports, data, compilation, warm-up."""
    training: float = 600.0
    evaluation: float = 600.0
    silence: float = 900.0
    """Without any output."""
    total: float = 4 * 3600.0
    grace: float = 10.0
    """Beyond a stage's limit, and again between TERM and KILL."""
    processes: int = 512
    memory_bytes: int = 64 * 2**30
    """Resident, of all processes together."""
    disk_bytes: int = 64 * 2**30


@dataclass(frozen=True)
class Observed:
    """One run as it looked from outside."""

    ending: Ending
    explanation: str
    """Why it ended so, in one sentence; empty for a run that finished."""
    status: int | None
    """Exit status; negative for a signal."""
    seconds: float
    stages: Stages
    peak_bytes: int
    """Resident memory of all processes together, the largest of the samples."""
    peak_processes: int
    left: int
    """Processes that were still running when the command had ended, and were ended; those of a sandbox die with it, and may
    be gone before they are counted."""


Watch = Callable[[Stages, float], None]


def supervise(
    command: list[str],
    environment: Mapping[str, str],
    output: Path,
    bounds: Bounds,
    written: Callable[[], int] = lambda: 0,
    watch: Watch | None = None,
    sample: Callable[[], None] = lambda: None,
) -> Observed:
    """Run ``command`` with its output in the file ``output``. ``written`` measures what it has written to disk, in bytes;
    ``watch`` gets every line; ``sample`` is called about every second.

    Raises ``OSError`` where it cannot be started or the output cannot be kept.
    """
    processes.adopt_orphans()
    others = processes.children()
    with output.open("wb") as log:
        began = time.monotonic()
        child = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )
        run = _Run(child, log, bounds, began, written, watch, sample)
        try:
            ending = run.follow()
            if ending is not None and ending not in (Ending.PROCESSES, Ending.MEMORY):
                run.ask_to_end()
        finally:
            left = processes.end(child.pid, others)
            status = child.wait()
            run.drain()
            if child.stdout:
                child.stdout.close()
    return run.observed(ending, status, left)


class _Run:
    """The state of one supervision."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        log: IO[bytes],
        bounds: Bounds,
        began: float,
        written: Callable[[], int],
        watch: Watch | None,
        sample: Callable[[], None],
    ) -> None:
        self.child, self.log, self.bounds, self.began = child, log, bounds, began
        self.written, self.watch, self.sample = written, watch, sample
        self.stages = Stages()
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.rest = b""
        self.bytes = 0
        self.heard = self.sampled = began
        self.peak_bytes = self.peak_processes = 0
        self.ended = began
        assert child.stdout is not None
        self.pipe = child.stdout.fileno()
        os.set_blocking(self.pipe, False)

    def follow(self) -> Ending | None:
        """Read until the run ends by itself (``None``) or goes over a bound."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.pipe, selectors.EVENT_READ)
            is_open = True
            while True:
                if not is_open:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.child.wait(TICK)
                elif selector.select(TICK) and self._read() is False:
                    selector.unregister(self.pipe)
                    is_open = False
                if self.child.poll() is not None:
                    self.ended = time.monotonic()
                    return None
                if ending := self._over():
                    self.ended = time.monotonic()
                    return ending

    def ask_to_end(self) -> None:
        """TERM, and as long as the grace lasts for it to end."""
        processes.ask_to_end(self.child.pid)
        until = time.monotonic() + self.bounds.grace
        while self.child.poll() is None and time.monotonic() < until:
            self._read()
            time.sleep(processes.PAUSE)

    def drain(self) -> None:
        """What was printed and not yet read."""
        with contextlib.suppress(OSError, ValueError):
            while self._read():
                pass
        if self.rest:
            self._line(self.rest)
            self.rest = b""

    def observed(self, ending: Ending | None, status: int, left: int) -> Observed:
        """What was seen."""
        if ending is None:
            ending = Ending.FINISHED if status == 0 else Ending.CRASHED
        return Observed(
            ending,
            self._explain(ending, status),
            status,
            self.ended - self.began,
            self.stages,
            self.peak_bytes,
            self.peak_processes,
            left,
        )

    def _read(self) -> bool | None:
        """Take what the pipe holds: ``None`` if it holds nothing now, ``False`` if it is closed."""
        try:
            data = os.read(self.pipe, CHUNK)
        except BlockingIOError:
            return None
        if not data:
            return False
        self.heard = time.monotonic()
        self.bytes += len(data)
        if self.bytes <= MOST_OUTPUT:
            self.log.write(data)
            self.log.flush()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self.rest) > LONGEST_LINE:
            self._line(self.rest)
            self.rest = b""
        return True

    def _line(self, line: bytes) -> None:
        text = line[:LONGEST_LINE].decode("utf-8", errors="replace").rstrip("\r")
        self.tail.append(text)
        now = time.monotonic() - self.began
        self.stages.take(text, now)
        if self.watch:
            self.watch(self.stages, now)

    def _over(self) -> Ending | None:
        """The bound that the run has gone over."""
        now, bounds = time.monotonic(), self.bounds
        elapsed, stages = now - self.began, self.stages
        if now - self.heard > bounds.silence:
            return Ending.HANG
        if stages.stage is Stage.STARTING and elapsed > bounds.start + bounds.grace:
            return Ending.START_TIME
        # Validation during training stops the clock of the challenge: only time that is surely training counts.
        if stages.stage is Stage.TRAINING:
            since = elapsed - (stages.first_step or 0.0)
            if stages.stepping > bounds.training + bounds.grace or since > PATIENCE * bounds.training + bounds.grace:
                return Ending.TRAINING_TIME
        if stages.trained is not None and elapsed - stages.trained > self._evaluation() + bounds.grace:
            return Ending.EVALUATION_TIME
        if elapsed > bounds.total + bounds.grace:
            return Ending.TOTAL_TIME
        if self.bytes > MOST_OUTPUT:
            return Ending.OUTPUT
        if now - self.sampled < SAMPLE:
            return None
        self.sampled = now
        self.sample()
        return self._sample()

    def _evaluation(self) -> float:
        """Seconds until an evaluation is ended; one that has printed a score may be at something that does not count."""
        return self.bounds.evaluation * (PATIENCE if self.stages.stage is Stage.SCORED else 1)

    def _sample(self) -> Ending | None:
        found = processes.below(self.child.pid)
        count, resident = sum(p.threads for p in found), sum(p.resident_bytes for p in found)
        self.peak_processes, self.peak_bytes = max(self.peak_processes, count), max(self.peak_bytes, resident)
        if count >= self.bounds.processes:
            return Ending.PROCESSES
        if resident > self.bounds.memory_bytes:
            return Ending.MEMORY
        return Ending.DISK if self.written() > self.bounds.disk_bytes else None

    def _explain(self, ending: Ending, status: int) -> str:
        bounds, stage = self.bounds, self.stages.stage
        last = next((line.strip() for line in reversed(self.tail) if line.strip()), "")
        said = next((match[1] for line in reversed(self.tail) if (match := _ERROR.match(line))), last)
        match ending:
            case Ending.FINISHED:
                return ""
            case Ending.CRASHED:
                how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
                return f"the command {how} while {stage.value}" + (f": {said[:200]}" if said else "")
            case Ending.HANG:
                return f"no output for {bounds.silence:g} s while {stage.value}"
            case Ending.START_TIME:
                return f"no training step within {bounds.start:g} s and a grace of {bounds.grace:g} s"
            case Ending.TRAINING_TIME:
                return f"training had not ended after {bounds.training:g} s and a grace of {bounds.grace:g} s"
            case Ending.EVALUATION_TIME:
                return f"evaluation went on beyond {self._evaluation():g} s after training and a grace of {bounds.grace:g} s"
            case Ending.TOTAL_TIME:
                return f"not finished within {bounds.total:g} s and a grace of {bounds.grace:g} s"
            case Ending.PROCESSES:
                return f"{self.peak_processes} processes and threads at once; the limit is {bounds.processes}"
            case Ending.MEMORY:
                return f"{self.peak_bytes:,} bytes of memory at once; the limit is {bounds.memory_bytes:,}"
            case Ending.DISK:
                return f"more than {bounds.disk_bytes:,} bytes written"
            case Ending.OUTPUT:
                return f"more than {MOST_OUTPUT:,} bytes printed"
