"""Which GPUs are here and free, by ``nvidia-smi``; and whether times on them compare with those of the challenge."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

QUERY = "index,name,memory.used,memory.total,clocks.max.sm"
BUSY_MIB = 1024
"""A GPU with more memory in use belongs to someone else."""
REFERENCE = "8 x NVIDIA H100 80GB HBM3"
"""The SXM model of the challenge, as nvidia-smi calls it."""
SECONDS = 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU."""

    index: int
    name: str
    used_mib: int
    total_mib: int
    clock_mhz: int

    @property
    def is_free(self) -> bool:
        """Whether nobody else computes on it."""
        return self.used_mib <= BUSY_MIB


@dataclass(frozen=True)
class Hardware:
    """What a run is given."""

    gpus: tuple[Gpu, ...] = ()

    @property
    def name(self) -> str:
        """``8 x NVIDIA H100 80GB HBM3``; ``CPU`` without a GPU."""
        if not self.gpus:
            return "CPU"
        return f"{len(self.gpus)} x {' and '.join(sorted({gpu.name for gpu in self.gpus}))}"

    @property
    def is_reference(self) -> bool:
        """Whether times compare with the limits of the challenge at all."""
        return self.name == REFERENCE

    @property
    def devices(self) -> tuple[Path, ...]:
        """The device files that programs need to use the GPUs."""
        if not self.gpus:
            return ()
        wanted = [f"/dev/nvidia{gpu.index}" for gpu in self.gpus]
        wanted += ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-caps"]
        return tuple(path for path in map(Path, wanted) if path.exists())


def find(most: int | None) -> tuple[Hardware, str]:
    """The free GPUs, ``most`` of them at most, and a remark where there is something to say about the others."""
    gpus, remark = present() if most != 0 else ((), "")
    free = tuple(gpu for gpu in gpus if gpu.is_free)
    busy = ", ".join(str(gpu.index) for gpu in gpus if not gpu.is_free)
    return Hardware(free[: most if most is not None else 8]), f"GPUs in use by others: {busy}" if busy else remark


def present() -> tuple[tuple[Gpu, ...], str]:
    """Every GPU of this machine, in use or not, and why none is seen."""
    if not shutil.which("nvidia-smi"):
        return (), "nvidia-smi is not installed: no GPU is looked for"
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), f"nvidia-smi failed: {type(error).__name__}"
    return (read(done.stdout), "") if done.returncode == 0 else ((), f"nvidia-smi failed with status {done.returncode}")


def read(text: str) -> tuple[Gpu, ...]:
    """The GPUs of nvidia-smi's table; a line that is none is left out."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 5 and cells[0].isdecimal():
            numbers = [int(cell) if cell.isdecimal() else 0 for cell in cells[2:]]
            found.append(Gpu(int(cells[0]), cells[1], *numbers))
    return tuple(found)
