"""The submission folder: README, submission.json, one log per seed, the bundled script and its requirements.

The artifact is not part of it: the challenge asks for what makes the weights, not for the weights.
"""

import json
from collections.abc import Sequence
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
NO_CLAIM = (
    "This run makes no claim on any track. It was trained and scored on a generated text and not on FineWeb, by a shrunken network: "
    "its val_bpb compares with nothing."
)


def write_folder(folder: Path, preset: Preset, script: str, results: Sequence[RunResult], hardware: str) -> None:
    """Everything but the logs, which the runs have written there."""
    (folder / "train_gpt.py").write_text(script, "utf-8")
    (folder / "requirements.txt").write_text(requirements(script), "utf-8")
    (folder / "README.md").write_text(readme(preset, results, hardware), "utf-8")
    metadata = json.dumps(submission(preset, results, hardware), indent=2, ensure_ascii=False)
    (folder / "submission.json").write_text(metadata + "\n", "utf-8")


def requirements(script: str) -> str:
    """The packages that the script imports, as they are installed here (2.13.0+cpu is 2.13.0)."""
    versions = {package: version(package).partition("+")[0] for package in packages_used(script)}
    return "".join(f"{package}=={number}\n" for package, number in versions.items())


def submission(preset: Preset, results: Sequence[RunResult], hardware: str) -> dict[str, Any]:
    return {
        "author": AUTHOR,
        "github_id": "none",
        "name": title(preset),
        "blurb": f"{preset.summary} {NO_CLAIM}" if preset.tiny else preset.summary,
        "date": datetime.now(UTC).date().isoformat(),
        "track": "none" if preset.tiny else TRACK,
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
        "hardware": hardware,
    }


def title(preset: Preset) -> str:
    return f"{preset.name}, tiny run without a claim" if preset.tiny else preset.name


def readme(preset: Preset, results: Sequence[RunResult], hardware: str) -> str:
    launch = "python" if preset.tiny else "torchrun --standalone --nproc_per_node=8"
    commands = "\n".join(f"SEED={result.seed} {launch} train_gpt.py" for result in results)
    paragraphs = [
        f"# {title(preset)}",
        preset.summary,
        *([f"**{NO_CLAIM}**"] if preset.tiny else []),
        *[
            f"**Seed {result.seed}: {overrun}. This is over the budget.**"
            for result in results
            for overrun in result.overruns
        ],
        f"Hardware: {hardware}.",
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
