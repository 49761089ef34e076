"""Docker and podman: the sandbox where namespaces are refused to users. The image brings the interpreter.

Tested as lists of arguments only: no test starts a container.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from pgaudit.sandbox.box import TEMPORARY, WORK, Box


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
        """Nothing: the program runs under the user who started it."""

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
        words += ["--volume", f"{box.folder}:{WORK}", "--volume", f"{box.temporary}:{TEMPORARY}", "--workdir", WORK]
        for mount in box.readable:
            words += ["--volume", f"{mount.source}:{mount.target}:ro"]
        for name, value in sorted(box.environment.items()):
            words += ["--env", f"{name}={value}"]
        return [*words, self.image, *box.command]
