"""Two commands for a fresh checkout: ``demo`` audits the bundled example, ``test`` runs the tests.

Needs Python 3.11 and git, nothing else: makes ``.venv`` beside the checkout's README, installs pgaudit there, runs.
Standard library only, and readable by any Python 3, so that an old one can say what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
ENVIRONMENT = CHECKOUT / ".venv"
OLDEST = (3, 11)
EXAMPLE = "tests/example_submission"


def main(arguments: list[str]) -> int:
    """Run ``demo`` or ``test``; returns the exit status."""
    if arguments not in (["demo"], ["test"]):
        print("usage: python3 -m pgaudit.bootstrap demo|test", file=sys.stderr)
        return 2
    if sys.version_info < OLDEST:
        return with_newer_python(arguments)
    python = install(development=arguments == ["test"])
    if arguments == ["test"]:
        return subprocess.call([python, "-m", "pytest", "-n", "auto"], cwd=CHECKOUT)
    status = subprocess.call([python, "-m", "pgaudit", "scan", EXAMPLE, "--explain"], cwd=CHECKOUT)
    # The example is illegal on purpose, so findings (10) are what the demonstration is to show.
    return 0 if status == 10 else status or 1


def with_newer_python(arguments: list[str]) -> int:
    """Hand over to a newer interpreter of this machine, or say that there is none."""
    for minor in range(20, OLDEST[1] - 1, -1):
        if python := shutil.which(f"python3.{minor}"):
            return subprocess.call([python, "-m", "pgaudit.bootstrap", *arguments], cwd=CHECKOUT)
    print(f"pgaudit needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
    return 2


def install(*, development: bool) -> str:
    """Make the virtual environment if there is none, install the checkout into it; returns its interpreter."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if development:
        subprocess.check_call([*pip, "pip>=25.1"])  # the first to know dependency groups
    subprocess.check_call(
        [*pip, "--editable", str(CHECKOUT), *(["--group", "dev"] if development else [])], cwd=CHECKOUT
    )
    return str(python)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        print(f"bootstrap: {' '.join(map(str, error.cmd))} failed", file=sys.stderr)
        sys.exit(1)
