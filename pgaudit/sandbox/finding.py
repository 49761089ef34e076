"""Which sandbox works on this machine. One that is installed but refused by the kernel does not count."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pgaudit.errors import ExitCode, PgauditError
from pgaudit.sandbox.box import Backend, Box, Limits
from pgaudit.sandbox.bubblewrap import Bubblewrap
from pgaudit.sandbox.containers import Container

SECONDS = 20
"""A sandbox that does not start in this time does not work."""
HINT = (
    "install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`) where user namespaces are allowed, "
    "or name an image with --image for docker or podman"
)


class SandboxUnavailable(PgauditError):
    """No way to enclose a program works here, so that nothing submitted can be run."""

    exit_code = ExitCode.INCOMPLETE


def find(image: str | None = None) -> Backend:
    """A sandbox that works: bubblewrap, or a container of ``image``. Raises ``SandboxUnavailable`` with the reasons."""
    refused: list[str] = []
    if image is not None:
        for program in ("docker", "podman"):
            container = Container(program, image)
            if why := refusal(container):
                refused.append(f"{program}: {why}")
            else:
                return container
        raise SandboxUnavailable(f"no sandbox works here: {'; '.join(refused)}", HINT)
    version = _version()
    for user_namespace in (False, True) if os.getuid() == 0 else (True,):
        wrapped = Bubblewrap(user_namespace, version)
        if why := refusal(wrapped):
            refused.append(f"bubblewrap: {why}")
        else:
            return wrapped
    raise SandboxUnavailable(f"no sandbox works here: {'; '.join(dict.fromkeys(refused))}", HINT)


def _version() -> str:
    if not shutil.which("bwrap"):
        return ""
    said = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False, timeout=SECONDS)
    return said.stdout.strip().rpartition(" ")[2]


def refusal(backend: Backend) -> str:
    """Why the backend cannot run a program that does nothing; empty if it can."""
    with tempfile.TemporaryDirectory(prefix="pgaudit-") as scratch:
        folder, temporary = Path(scratch, "work"), Path(scratch, "tmp")
        folder.mkdir()
        temporary.mkdir()
        box = Box(("true",), folder, temporary, limits=Limits(processes=64, memory_bytes=None))
        # The parent of private folders is closed to others; root hands them to another user.
        Path(scratch).chmod(0o755)
        backend.prepare(box)
        command = backend.command(box)
        if not shutil.which(command[0]):
            return f"{command[0]} is not installed"
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=SECONDS, errors="replace"
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"does not start: {type(error).__name__}"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines() or ["refused"]
    # Docker's last line is advice; its reason begins with its name.
    return next((line for line in said if line.startswith(f"{command[0]}: ")), said[-1]).removeprefix(f"{command[0]}: ")
