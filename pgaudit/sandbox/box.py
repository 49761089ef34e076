"""What a program in the sandbox may see and use, whichever backend encloses it."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

WORK = "/submission"
"""The private writable folder as the program sees it; also its home and its working directory."""
TEMPORARY = "/tmp"  # noqa: S108 -- a path inside the sandbox, backed by a private folder
PATH = "/usr/local/bin:/usr/bin:/bin"
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use. Each limit is there to keep the machine usable, none is a rule of the challenge."""

    processes: int = 512
    """Processes and threads together."""
    memory_bytes: int | None = 16 * GIB
    """Address space of one process; ``None`` for CUDA, which reserves far more than it uses."""
    file_bytes: int = 4 * GIB
    """Of one file."""
    cpu_seconds: int = 24 * 3600
    """Of one process."""
    open_files: int = 65_536
    shared_memory_bytes: int = 8 * GIB
    """``/dev/shm``, where processes of one run exchange data."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine that the program can read."""

    source: Path
    target: str
    """Its path inside."""


@dataclass(frozen=True, slots=True)
class Box:
    """One program and everything that it gets."""

    command: tuple[str, ...]
    folder: Path
    """Private and writable, seen as ``WORK``."""
    temporary: Path
    """Private and writable, seen as ``/tmp``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """All of its environment: nothing is inherited, so that no credential is."""
    readable: tuple[Mount, ...] = ()
    limits: Limits = field(default_factory=Limits)
    devices: tuple[Path, ...] = ()
    """Device files that are let in: those of GPUs."""


class Backend(Protocol):
    """A way to enclose a program."""

    @property
    def name(self) -> str:
        """Its name in reports."""

    @property
    def encloses(self) -> bool:
        """Whether it is a sandbox at all; the bare one is not."""

    def command(self, box: Box) -> list[str]:
        """The command line that runs the box."""

    def prepare(self, box: Box) -> None:
        """Give the program its folders: it may run under another user."""

    def end(self, box: Box) -> None:
        """End what is no process below the command, after that has ended."""


def limited(box: Box) -> list[str]:
    """The box's own command under its limits, in an environment that holds only what the box gives."""
    limits = box.limits
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # only root may raise it
    files = limits.open_files if most == resource.RLIM_INFINITY else min(limits.open_files, most)
    bounds = [f"--nproc={limits.processes}", f"--fsize={limits.file_bytes}", f"--cpu={limits.cpu_seconds}"]
    bounds += [f"--nofile={files}", "--core=0"]
    bounds += [f"--as={limits.memory_bytes}"] if limits.memory_bytes is not None else []
    # `env -i` comes last: a submission's LD_PRELOAD must not reach the tools that set the limits.
    settings = [f"{name}={value}" for name, value in sorted(box.environment.items())]
    return ["prlimit", *bounds, "--", "env", "-i", *settings, *box.command]
