"""The submission folder: README, submission.json, one log per seed, the bundled script and its requirements.

The artifact is not part of it: the challenge asks for what makes the weights, not for the weights.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from reference_trainer.bundling import packages_used
from reference_trainer.preset import Preset
from reference_trainer.run import RunResult

AUTHOR = "pgaudit's reference trainer"
TRACK = "10min_16mb"
TRACK_RANKS, TRACK_DEVICE = 8, "H100"
OFFICIAL_DATA = "fineweb10B_"  # how the challenge's exports of FineWeb are named
NO_CLAIM = "This run makes no claim on any track"


@dataclass(frozen=True)
class Circumstances:
    """What the runs of a submission ran on."""

    ranks: int
    device: str  # the name of each rank's
    dataset: str  # the name of the folder with the token shards, or what they were made of

    @property
    def hardware(self) -> str:
        return f"{self.ranks} x {self.device}"


def why_no_claim(preset: Preset, results: Sequence[RunResult], where: Circumstances) -> list[str]:
    """Every reason for which these runs cannot be sent to the record track; none for runs that can."""
    reasons = []
    if preset.tiny:
        reasons.append(
            "its network is shrunken and takes a fixed number of steps, so that its val_bpb compares with nothing"
        )
    if not where.dataset.startswith(OFFICIAL_DATA):
        reasons.append(f"its data are {where.dataset}, not an export of FineWeb by the challenge ({OFFICIAL_DATA}*)")
    if where.ranks != TRACK_RANKS or TRACK_DEVICE not in where.device:
        reasons.append(f"it ran on {where.hardware}, not on {TRACK_RANKS} x {TRACK_DEVICE}")
    for result in results:
        reasons += [f"seed {result.seed} is over the budget: {overrun}" for overrun in result.overruns]
    return reasons


def write_folder(folder: Path, preset: Preset, script: str, results: Sequence[RunResult], where: Circumstances) -> None:
    """Everything but the logs, which the runs have written there."""
    (folder / "train_gpt.py").write_text(script, "utf-8")
    (folder / "requirements.txt").write_text(requirements(script), "utf-8")
    (folder / "README.md").write_text(readme(preset, results, where), "utf-8")
    metadata = json.dumps(submission(preset, results, where), indent=2, ensure_ascii=False)
    (folder / "submission.json").write_text(metadata + "\n", "utf-8")


def requirements(script: str) -> str:
    """The packages that the script imports, as they are installed here (2.13.0+cpu is 2.13.0)."""
    versions = {package: version(package).partition("+")[0] for package in packages_used(script)}
    return "".join(f"{package}=={number}\n" for package, number in versions.items())


def submission(preset: Preset, results: Sequence[RunResult], where: Circumstances) -> dict[str, Any]:
    reasons = why_no_claim(preset, results, where)
    return {
        "author": AUTHOR,
        "github_id": "none",
        "name": title(preset, reasons),
        "blurb": f"{preset.summary} {NO_CLAIM}: {'; '.join(reasons)}." if reasons else preset.summary,
        "date": datetime.now(UTC).date().isoformat(),
        "track": "none" if reasons else TRACK,
        "val_loss": round(fmean(result.val_loss for result in results), 8),
        "val_bpb": round(fmean(result.val_bpb for result in results), 8),
        "bytes_total": max(result.bytes_total for result in results),
        "bytes_code": results[0].code_bytes,
        "seeds": [result.seed for result in results],
        "seed_results": {
            str(result.seed): {
                "val_loss": round(result.val_loss, 8),
                "val_bpb": round(result.val_bpb, 8),
                "bytes_total": result.bytes_total,
            }
            for result in results
        },
        "hardware": where.hardware,
    }


def title(preset: Preset, reasons: Sequence[str]) -> str:
    size = "tiny run" if preset.tiny else "run"
    return f"{preset.name}, {size} without a claim" if reasons else preset.name


def readme(preset: Preset, results: Sequence[RunResult], where: Circumstances) -> str:
    reasons = why_no_claim(preset, results, where)
    launch = "python" if where.ranks == 1 else f"torchrun --standalone --nproc_per_node={where.ranks}"
    commands = "\n".join(f"SEED={result.seed} {launch} train_gpt.py" for result in results)
    paragraphs = [
        f"# {title(preset, reasons)}",
        preset.summary,
        *([f"**{NO_CLAIM}:**\n\n" + "\n".join(f"- {reason}" for reason in reasons)] if reasons else []),
        f"Hardware: {where.hardware}. Data: {where.dataset}.",
        score_table(results),
        "The scored weights are those that were read back from the packed artifact. `bytes_total` is the script as shipped and the artifact.",
        f"```bash\npip install -r requirements.txt\n{commands}\n```",
        "`DATA_PATH` is the folder with the token shards, `TOKENIZER_PATH` the SentencePiece model.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def score_table(results: Sequence[RunResult]) -> str:
    rows = [
        f"| {result.seed} | {result.val_loss:.6f} | {result.val_bpb:.6f} | {result.bytes_total:,} | {result.steps} "
        f"| {result.training_seconds:.1f} | {result.evaluation_seconds:.1f} |"
        for result in results
    ]
    means = f"| mean | {fmean(r.val_loss for r in results):.6f} | {fmean(r.val_bpb for r in results):.6f} | | | | |"
    return "\n".join(
        [
            "| seed | val_loss | val_bpb | bytes_total | steps | training, s | evaluation, s |",
            "|---|---|---|---|---|---|---|",
            *rows,
            *([means] if len(results) > 1 else []),
        ]
    )
