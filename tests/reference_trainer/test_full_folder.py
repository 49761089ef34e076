"""The folder of a full run, by its form: the logs are written here, in place of hours on eight GPUs, and show no score of anything."""

import math
import re
from pathlib import Path

import pytest
import torch

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.collect import collect
from pgaudit.finding import Severity
from pgaudit.verdict import Level, Verdict
from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle
from reference_trainer.data import Files
from reference_trainer.distributed import Ranks
from reference_trainer.folder import Circumstances, write_folder
from reference_trainer.preset import Preset, tiny
from reference_trainer.run import RunResult, precision, run, score_name

BYTES = 151_080_891  # of the validation text
TOKENS = {1024: 62_021_632, 8192: 40_541_184}
SEEDS = (42, 1337, 2024)
STEPS = 13_720


def result(preset: Preset, script: str, seed: int) -> RunResult:
    number = SEEDS.index(seed)
    bpb = 1.05 + 0.0004 * number
    loss = bpb * math.log(2.0) * BYTES / TOKENS[preset.network.vocabulary]
    size = 15_700_000 + 331 * number
    return RunResult(seed, loss, bpb, len(script.encode()), size, STEPS, 598.0, 70.0, ())


def log(preset: Preset, script: str, of: RunResult) -> str:
    vocabulary, formats = preset.network.vocabulary, f"{precision(preset.quantisation)}+{preset.quantisation.codec}"
    training = preset.training
    stride = f" stride:{preset.evaluation.stride}" if preset.evaluation.stride else ""
    name, noise = score_name(preset), of.seed % 7
    before_export = (
        f"val_loss:{of.val_loss - 0.002:.4f} val_bpb:{of.val_bpb - 0.001:.4f} train_time:589960ms step_avg:43.00ms"
    )
    return script + "\n".join(
        (
            "=" * 100,
            f"seed:{of.seed}",
            f"preset:{preset.name} torch:2.13.0 device:NVIDIA H100 80GB HBM3",
            f"train_loader:dataset:fineweb10B_sp{vocabulary} train_shards:80",
            f"val_loader:shards pattern=data/datasets/fineweb10B_sp{vocabulary}/fineweb_val_*.bin tokens:{TOKENS[vocabulary]}",
            f"val_bytes:{BYTES}",
            "model_params:17059912",
            "world_size:8 grad_accum_steps:1",
            f"train_batch_tokens:{training.batch_tokens} train_seq_len:{training.sequence}",
            *(
                f"step:{step}/{training.steps} train_loss:{3.1 - step / 15_000 + 0.01 * math.sin(step + noise):.4f} "
                f"train_time:{43 * step}ms step_avg:43.00ms"
                for step in (1, *range(50, STEPS, 50))
            ),
            f"step:{STEPS}/{training.steps} {before_export}",
            f"stopping_early: wallclock_cap train_time:589960ms step:{STEPS}/{training.steps}",
            "peak memory allocated: 10184 MiB reserved: 10588 MiB",
            f"Serialized model {formats}: {of.model_bytes} bytes",
            f"Code size: {of.code_bytes} bytes",
            f"Total submission size {formats}: {of.bytes_total} bytes",
            "stages: preparation:1.2s training:590.0s calibration_and_quantisation:4.1s packing:2.7s",
            f"{name} val_loss:{of.val_loss:.4f} val_bpb:{of.val_bpb:.4f}{stride} eval_time:70000ms",
            f"{name}_exact val_loss:{of.val_loss:.8f} val_bpb:{of.val_bpb:.8f}\n",
        )
    )


def kinds(text: str) -> set[tuple[str, ...]]:
    """The lines of a log by the names of what they state."""
    return {tuple(re.findall(r"([A-Za-z_]+):", line)) for line in text.rpartition("=" * 100)[2].splitlines()}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_log_has_every_kind_of_line_that_the_trainer_writes(
    preset: Preset, tmp_path: Path, files: Files, few_steps: None
) -> None:
    run(tiny(preset), 42, files, "", tmp_path, tmp_path / "model.bin", Ranks(0, 1, torch.device("cpu")))
    written = kinds((tmp_path / "train_seed42.log").read_text("utf-8"))
    here = kinds(log(preset, "", result(preset, "", 42)))
    # A tiny run is on a CPU and ends by its steps.
    assert here - written == {("allocated", "reserved"), ("stopping_early", "train_time", "step")}
    assert written - here == set()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_full_run_is_clean(preset: Preset, tmp_path: Path) -> None:
    folder = tmp_path / f"records/track_10min_16mb/2026-04-01_{preset.name}"
    folder.mkdir(parents=True)
    script = bundle(preset)
    runs = [result(preset, script, seed) for seed in SEEDS]
    for each in runs:
        (folder / f"train_seed{each.seed}.log").write_text(log(preset, script, each), "utf-8")
    dataset = f"fineweb10B_sp{preset.network.vocabulary}"
    write_folder(folder, preset, script, runs, Circumstances(8, "NVIDIA H100 80GB HBM3", dataset))
    report = audit(collect(str(folder)), rulebook.load(), policy.load()).submissions[0]
    found = {
        f"{finding.rule}: {finding.message}" for finding in report.findings if finding.severity is not Severity.NOTE
    }
    assert (report.verdict, found, report.gaps) == (Verdict.CLEAN, set(), ())
    assert report.level is Level.CONSISTENT
