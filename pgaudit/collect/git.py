"""Running git: one command, or one long-lived ``git cat-file`` that answers questions."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from pgaudit.errors import TargetError


class MissingObjectError(TargetError):
    """The clone does not hold an object: it is partial, shallow or damaged."""


def environment(*, keep_configuration: bool) -> dict[str, str]:
    """The environment without git's variables, which a hook or an alias around pgaudit would set."""
    kept = "GIT_CONFIG" if keep_configuration else "\0"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith(kept)}
    return inherited | {"LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def run(arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The finished command. Raises ``TargetError`` where git is not installed."""
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError as error:
        raise TargetError("git was not found", hint="install git, or audit a folder instead of a clone") from error


class Batch:
    """One long-lived ``git cat-file``: a name on its standard input, an answer on its standard output."""

    def __init__(self, mode: str, env: Mapping[str, str]) -> None:
        pipe, silent = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(["git", "cat-file", mode], env=env, stdin=pipe, stdout=pipe, stderr=silent)
        self._questions = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)

    def ask(self, name: str) -> tuple[str, int]:
        """Id and size in bytes of the object called ``name``. Raises ``MissingObjectError``."""
        with contextlib.suppress(BrokenPipeError):
            self._questions.write(name.encode() + b"\n")
            self._questions.flush()
        answer = self._answers.readline().split()
        if not answer:
            raise TargetError(f"git stopped while looking for object {name}: the clone is damaged")
        if len(answer) != 3:
            raise MissingObjectError(f"the clone does not hold object {name}")
        return answer[0].decode(), int(answer[2])

    def take(self, size: int) -> bytes:
        """The content that follows an answer of ``--batch``."""
        content = self._answers.read(size + 1)
        if len(content) <= size:
            raise TargetError("git stopped in the middle of an object: the clone is damaged")
        return content[:size]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
