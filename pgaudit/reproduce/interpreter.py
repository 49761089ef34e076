"""The Python that runs a submission: where it lives, and whether it has what the submission needs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgaudit.errors import TargetError
from pgaudit.sandbox import Mount
from pgaudit.submission import Submission, UnreadableFile

SECONDS = 60
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_ASK = """
import importlib.metadata as metadata, importlib.util, json, sys
wanted = json.load(sys.stdin)
def has(name):
    try:
        metadata.version(name)
        return True
    except metadata.PackageNotFoundError:
        return False
def finds(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
print(json.dumps({
    "version": sys.version.split()[0], "prefixes": [sys.prefix, sys.base_prefix],
    "packages": [name for name in wanted["packages"] if not has(name)],
    "modules": [name for name in wanted["modules"] if not finds(name)],
}))
"""
"""Only names are asked for; nothing of the submission is imported."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python on this machine."""

    path: Path
    version: str
    prefixes: tuple[Path, ...]
    """Folders that it needs, those of the system left out."""
    missing: tuple[str, ...]
    """What the submission needs and it lacks."""

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What the sandbox makes readable."""
        return tuple(Mount(prefix, str(prefix)) for prefix in self.prefixes)


def ask(path: Path | None, submission: Submission, script: str) -> Interpreter:
    """Ask a Python (default: the one that runs pgaudit) for what a submission needs. Raises ``TargetError``."""
    path = Path(sys.executable) if path is None else path.absolute()
    wanted = {"packages": sorted(set(_requirements(submission))), "modules": sorted(_imports(script, submission))}
    try:
        done = subprocess.run(
            [path, "-I", "-c", _ASK],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise TargetError(f"{path}: is no Python that can be asked: {type(error).__name__}", "see --python") from None
    prefixes = {Path(prefix) for prefix in answer["prefixes"]}
    own = tuple(sorted(prefix for prefix in prefixes if not str(prefix).startswith(("/usr", "/opt"))))
    missing = (*answer["packages"], *(f"module {name}" for name in answer["modules"]))
    return Interpreter(path, str(answer["version"]), own, missing)


def _requirements(submission: Submission) -> Iterator[str]:
    """The packages that requirements.txt names; options, addresses and packages for another system are left out."""
    file = submission.files.get("requirements.txt")
    try:
        text = file.data.decode("utf-8", errors="replace") if file else ""
    except UnreadableFile:
        return
    for line in text.splitlines():
        requirement = line.partition("#")[0].partition(";")[0]
        if (match := _REQUIREMENT.match(requirement)) and "://" not in requirement:
            yield match[1]


def _imports(script: str, submission: Submission) -> set[str]:
    """The top-level modules that a script imports without a test or a ``try`` around it, but for its own and Python's."""
    try:
        body = ast.parse(script).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    own = {path.rpartition("/")[2].removesuffix(".py") for path in submission.files if path.endswith(".py")}
    own |= {path.partition("/")[0] for path in submission.files if "/" in path}
    return {name for name in _names(body) if name not in own and name not in sys.stdlib_module_names}


def _names(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.module.partition(".")[0]
