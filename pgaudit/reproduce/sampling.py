"""GPU memory and clocks while a run goes on, by one ``nvidia-smi`` that reports every second."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Self

from pgaudit.reproduce.hardware import Hardware

QUERY = "memory.used,clocks.sm,utilization.gpu"
EVERY_MS = 1000
BUSY = 50
"""Per cent of utilisation from which a clock counts: an idle GPU clocks down."""
MIB = 2**20
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What the GPUs of a run were seen to do."""

    samples: int
    """Lines of the table, one per GPU and second."""
    peak_bytes: int
    """Of one GPU."""
    clock_mhz: float | None
    """Median of the SM clock of busy GPUs; ``None`` if none was seen busy."""
    lowest_clock_mhz: float | None


@dataclass
class Sampler:
    """Watches the GPUs of a run; without any it does nothing.

    ``nvidia-smi`` writes to a pipe, so that it ends by itself when this process is killed.
    """

    hardware: Hardware
    _tool: subprocess.Popen[bytes] | None = None
    _rest: bytes = b""
    _memory: list[int] = field(default_factory=list)
    _clocks: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        if self.hardware.gpus:
            listed = ",".join(str(gpu.index) for gpu in self.hardware.gpus)
            command = ["nvidia-smi", f"--id={listed}", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
            with contextlib.suppress(OSError):
                self._tool = subprocess.Popen(
                    [*command, f"--loop-ms={EVERY_MS}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
        if self._tool and self._tool.stdout:
            os.set_blocking(self._tool.stdout.fileno(), False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tool and self._tool.stdout:
            self._tool.kill()
            self._tool.wait()
            self.take()
            self._tool.stdout.close()

    def take(self) -> None:
        """Read what was reported since."""
        if self._tool is None or self._tool.stdout is None:
            return
        try:
            while data := os.read(self._tool.stdout.fileno(), CHUNK):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._line(line)
        except BlockingIOError:
            return

    def use(self) -> GpuUse | None:
        """What was seen; ``None`` without a GPU or without a word of ``nvidia-smi``."""
        if not self._memory:
            return None
        clocks = self._clocks
        middle, lowest = (median(clocks), min(clocks)) if clocks else (None, None)
        return GpuUse(len(self._memory), max(self._memory) * MIB, middle, lowest)

    def _line(self, line: bytes) -> None:
        cells = [cell.strip() for cell in line.split(b",")]
        if len(cells) != 3 or not all(cell.isdigit() for cell in cells):
            return  # a value that this GPU does not report
        memory, clock, busy = map(int, cells)
        self._memory.append(memory)
        if busy >= BUSY:
            self._clocks.append(clock)
