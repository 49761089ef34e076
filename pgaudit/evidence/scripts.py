"""Which Python file of a submission is the one that trains and scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgaudit.evidence.readme import Command
from pgaudit.submission import File, Submission

OFFICIAL = "train_gpt.py"
"""The name that the challenge asks for."""

_NOT_TRAINERS = (
    "test_",
    "prepare",
    "download",
    "retokenize",
    "build_",
    "setup",
    "plot",
    "verify",
    "convert",
    "tokeniz",
)


def python_files(submission: Submission) -> Mapping[str, File]:
    """Every ``.py`` file below the folder."""
    return {path: file for path, file in submission.files.items() if path.endswith(".py")}


def main_script(submission: Submission, commands: Iterable[Command]) -> str | None:
    """The path of the main script: the official name, else what the run commands start, else the only trainer by name.

    ``None`` where nothing decides: a wrong guess would audit a script that nobody ran.
    """
    paths = [path for path, file in python_files(submission).items() if file.size != 0]
    if official := [path for path in paths if path.rpartition("/")[2] == OFFICIAL]:
        return min(official, key=lambda path: (path.count("/"), path))
    started = [path for command in commands if (path := _shipped(command.script, paths))]
    if trainers := [path for path in started if _trains(path)] or started:
        return max(dict.fromkeys(trainers), key=trainers.count)
    named = [path for path in paths if path.rpartition("/")[2].startswith("train")] or [
        path for path in paths if _trains(path)
    ]
    top = min((path.count("/") for path in named), default=0)
    named = [path for path in named if path.count("/") == top]
    return named[0] if len(named) == 1 else _preferred(named)


def _preferred(paths: list[str]) -> str | None:
    """Among several trainers the CUDA one that carries the official name as a prefix."""
    official = [path for path in paths if path.rpartition("/")[2].startswith("train_gpt") and "mlx" not in path.lower()]
    return min(official, key=lambda path: (len(path), path), default=None)


def _shipped(script: str, paths: list[str]) -> str | None:
    """The shipped file that a command's script names; commands are written from the repository's root or from the folder."""
    wanted = script.removeprefix("./").removeprefix("-m ")
    name = wanted.rpartition("/")[2]
    ending = [path for path in paths if wanted == path or wanted.endswith("/" + path)]
    return next(iter(ending), None) or next((path for path in paths if path.rpartition("/")[2] == name), None)


def _trains(path: str) -> bool:
    return not path.rpartition("/")[2].lower().startswith(_NOT_TRAINERS)
