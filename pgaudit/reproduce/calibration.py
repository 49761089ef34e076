"""How fast this node is: the reference trainer for a fixed number of steps, beside the reference node of the challenge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgaudit.collect import collect
from pgaudit.evidence.evidence import Evidence
from pgaudit.policy import Edition
from pgaudit.reproduce import interpreter, reference
from pgaudit.reproduce.data import inspect
from pgaudit.reproduce.hardware import Hardware
from pgaudit.reproduce.plan import Wishes, make
from pgaudit.reproduce.reference import TrainerFailed
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.runner import Observer, run_seed
from pgaudit.sandbox import Backend

PRESET, SEED = "baseline", 42
STEPS, TINY_STEPS = 300, 20
REFERENCE_SECONDS = 600.038 / 13_780
"""Seconds per step of the challenge's own baseline on 8 x H100: records/track_10min_16mb/2026-03-17_NaiveBaseline/train.log.

The same network and batch as the preset's, in another script: what the two differ by on one node counts as the node's."""
_WRITE = """
import sys
from pathlib import Path
from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle
from reference_trainer.data import write_data
from reference_trainer.preset import tiny
from reference_trainer.speed import fixed_steps, synthetic_documents
preset, folder, steps, shrunken = PRESETS[sys.argv[1]], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "tiny"
preset = fixed_steps(tiny(preset) if shrunken else preset, steps)
(folder / "train_gpt.py").write_text(bundle(preset), "utf-8")
vocabulary = preset.network.vocabulary
files = write_data(synthetic_documents(vocabulary), vocabulary, folder.with_name(f"{folder.name}.data"), 0.05)
print(files.data, files.tokenizer, sep="\\n")
"""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The pace of one node."""

    hardware: str
    steps: int
    seconds_per_step: float
    reference_seconds: float | None
    """Of the reference node; ``None`` for a shrunken network, which nobody has run there."""

    @property
    def factor(self) -> float | None:
        """How many times as long a step takes here."""
        return self.seconds_per_step / self.reference_seconds if self.reference_seconds else None


def calibrate(runs: Path, backend: Backend, hardware: Hardware, edition: Edition, *, tiny: bool) -> Calibration:
    """Run the reference trainer on synthetic text as any submission is run, and take its pace from outside.

    Raises ``TrainerFailed`` where that does not come to an end.
    """
    folder = runs / "calibration" / ("tiny" if tiny else PRESET)
    shards, tokenizer = _write(folder, tiny=tiny)
    evidence = Evidence(collect(str(folder)).submissions[0], edition)
    python = interpreter.ask(None, evidence.submission, evidence.main.body.text if evidence.main else "")
    plan = make(evidence, python, hardware, inspect(shards, tokenizer), Wishes((SEED,)))
    result = run_seed(plan, SEED, evidence, backend, folder.with_name(f"{folder.name}.run"), Observer())
    return pace(result, hardware.name, tiny=tiny)


def pace(result: SeedResult, hardware: str, *, tiny: bool) -> Calibration:
    """The pace of a calibration run, on the clock outside. Raises ``TrainerFailed`` for one that did not finish."""
    if not result.finished or not result.steps or result.stepping <= 0:
        raise TrainerFailed(f"the calibration did not finish: {result.explanation or 'no steps were seen'}")
    seconds = result.stepping / (result.steps - 1)  # the clock starts with the line of the first step
    return Calibration(hardware, result.steps, seconds, None if tiny else REFERENCE_SECONDS)


def _write(folder: Path, *, tiny: bool) -> tuple[Path, Path]:
    """The script and synthetic data for it: the folder of the shards, and the tokenizer."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerFailed(f"{folder}: cannot write: {error.strerror}", "name another folder with --runs") from None
    steps, size = (TINY_STEPS, "tiny") if tiny else (STEPS, "full")
    shards, tokenizer = reference.trainer_says(_WRITE, PRESET, str(folder), str(steps), size)
    return Path(shards), Path(tokenizer)
