"""Docker and podman: the sandbox where namespaces are refused to users. The image brings the interpreter.

Tested as lists of arguments only: no test starts a container.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from dataclasses import dataclass

from pgaudit.sandbox.box import TEMPORARY, WORK, Box

SECONDS = 60
"""For a container to be ended."""


@dataclass(frozen=True)
class Container:
    """Runs a program in a container of ``image`` without network and without capabilities."""

    program: str
    """``docker`` or ``podman``."""
    image: str

    @property
    def name(self) -> str:
        return f"{self.program} ({self.image})"

    @property
    def encloses(self) -> bool:
        return True

    def prepare(self, box: Box) -> None:
        """Make way for the container: one of a killed pgaudit may still be there."""
        self.end(box)

    def end(self, box: Box) -> None:
        """End the container: it belongs to a daemon, and goes on when its client is killed."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            command = [self.program, "rm", "--force", _name(box)]
            subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)

    def command(self, box: Box) -> list[str]:
        """The command line. The container is removed when the program ends."""
        limits = box.limits
        words = [self.program, "run", "--rm", "--init", "--network", "none", "--read-only"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{os.getuid()}:{os.getgid()}"]
        words += ["--pids-limit", str(limits.processes), "--shm-size", str(limits.shared_memory_bytes)]
        words += ["--memory", str(limits.memory_bytes)] if limits.memory_bytes is not None else []
        words += ["--ulimit", f"fsize={limits.file_bytes}", "--ulimit", f"cpu={limits.cpu_seconds}"]
        words += ["--ulimit", f"nofile={limits.open_files}", "--ulimit", "core=0"]
        words += ["--gpus", "all"] if box.devices else []
        words += ["--name", _name(box)]
        words += ["--volume", f"{box.folder}:{WORK}", "--volume", f"{box.temporary}:{TEMPORARY}", "--workdir", WORK]
        for mount in box.readable:
            words += ["--volume", f"{mount.source}:{mount.target}:ro"]
        for name, value in sorted(box.environment.items()):
            words += ["--env", f"{name}={value}"]
        return [*words, self.image, *box.command]


def _name(box: Box) -> str:
    """The container's name, the same for whoever runs a program in this folder."""
    return f"pgaudit-{hashlib.sha256(str(box.folder).encode()).hexdigest()[:16]}"
