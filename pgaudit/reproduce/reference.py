"""The bundled reference trainer as a submission: what is re-run where no other is named.

It is pgaudit's own code, so it is written outside the sandbox; its re-run is as enclosed as any.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pgaudit.errors import ExitCode, PgauditError, TargetError

PRESETS = ("baseline", "count-bigram", "manifold", "sp8192-sdclip", "unet-ttt")
SECONDS = 1800
_WRITE = """
import sys
from pathlib import Path
from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle
from reference_trainer.folder import requirements
script, folder = bundle(PRESETS[sys.argv[1]]), Path(sys.argv[2])
(folder / "train_gpt.py").write_text(script, "utf-8")
(folder / "requirements.txt").write_text(requirements(script), "utf-8")
"""


class TrainerFailed(PgauditError):
    """The bundled trainer could not be made into a submission."""

    exit_code = ExitCode.INCOMPLETE


def write(preset: str, folder: Path, seeds: tuple[int, ...], *, tiny: bool) -> None:
    """The folder of a preset. A tiny one is trained first, to have claims; a full one makes none.

    Raises ``TargetError`` for an unknown preset, ``TrainerFailed`` where torch is missing or training fails.
    """
    if preset not in PRESETS:
        raise TargetError(f"no preset {preset!r}", hint=f"one of {', '.join(PRESETS)}")
    if (folder / "train_gpt.py").is_file() and (not tiny or (folder / "submission.json").is_file()):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerFailed(f"{folder}: cannot write: {error.strerror}", "name another folder with --runs") from None
    if tiny:
        listed = ",".join(map(str, seeds))
        _run("-m", "reference_trainer", preset, "--tiny", "--seeds", listed, "--out", str(folder))
    else:
        trainer_says(_WRITE, preset, str(folder))


def trainer_says(code: str, *arguments: str) -> list[str]:
    """The lines that a piece of Python prints in a process of its own: torch is larger than all of pgaudit.

    Raises ``TrainerFailed`` where torch is missing or the code fails.
    """
    return _run("-c", code, *arguments).splitlines()


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrainerFailed(f"the reference trainer did not run: {type(error).__name__}") from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TrainerFailed(
            f"the reference trainer failed: {said}", "it needs the extra `reproduce` (torch, numpy, sentencepiece)"
        )
    return done.stdout


def tiny_data(folder: Path, preset: str) -> tuple[Path, Path]:
    """The generated shards and the tokenizer that a tiny run has left beside its folder."""
    data = folder.with_name(f"{folder.name}.work") / "data"
    shards = sorted(path for path in (data / "datasets").glob("*") if path.is_dir())
    tokenizers = sorted((data / "tokenizers").glob("*.model"))
    if not shards or not tokenizers:
        raise TrainerFailed(f"{data}: the tiny run of {preset} left no data")
    return shards[0], tokenizers[0]
