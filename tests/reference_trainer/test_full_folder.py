"""The folder of a full run, by its form: the logs are written here, in place of hours on eight GPUs, and show no score of anything."""

import math
from pathlib import Path

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.collect import collect
from pgaudit.finding import Severity
from pgaudit.verdict import Level, Verdict
from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle
from reference_trainer.folder import write_folder
from reference_trainer.preset import Preset
from reference_trainer.run import RunResult, precision, score_name

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


def log(preset: Preset, script: str, run: RunResult) -> str:
    vocabulary, formats = preset.network.vocabulary, f"{precision(preset.quantisation)}+{preset.quantisation.codec}"
    training = preset.training
    stride = f" stride:{preset.evaluation.stride}" if preset.evaluation.stride else ""
    name, noise = score_name(preset), run.seed % 7
    return script + "\n".join(
        (
            "=" * 100,
            f"seed:{run.seed}",
            f"preset:{preset.name} torch:2.13.0 device:NVIDIA H100 80GB HBM3",
            f"train_loader:dataset:fineweb10B_sp{vocabulary} train_shards:80",
            f"val_loader:shards pattern=data/datasets/fineweb10B_sp{vocabulary}/fineweb_val_*.bin tokens:{TOKENS[vocabulary]}",
            f"val_bytes:{BYTES}",
            "world_size:8 grad_accum_steps:1",
            f"train_batch_tokens:{training.batch_tokens} train_seq_len:{training.sequence}",
            *(
                f"step:{step}/{training.steps} train_loss:{3.1 - step / 15_000 + 0.01 * math.sin(step + noise):.4f} "
                f"train_time:{43 * step}ms step_avg:43.00ms"
                for step in range(50, STEPS, 50)
            ),
            f"stopping_early: wallclock_cap train_time:589960ms step:{STEPS}/{training.steps}",
            f"Serialized model {formats}: {run.model_bytes} bytes",
            f"Code size: {run.code_bytes} bytes",
            f"Total submission size {formats}: {run.bytes_total} bytes",
            f"{name} val_loss:{run.val_loss:.4f} val_bpb:{run.val_bpb:.4f}{stride} eval_time:70000ms",
            f"{name}_exact val_loss:{run.val_loss:.8f} val_bpb:{run.val_bpb:.8f}\n",
        )
    )


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_full_run_is_clean(preset: Preset, tmp_path: Path) -> None:
    folder = tmp_path / f"records/track_10min_16mb/2026-04-01_{preset.name}"
    folder.mkdir(parents=True)
    script = bundle(preset)
    runs = [result(preset, script, seed) for seed in SEEDS]
    for run in runs:
        (folder / f"train_seed{run.seed}.log").write_text(log(preset, script, run), "utf-8")
    write_folder(folder, preset, script, runs, "8 x NVIDIA H100 80GB HBM3")
    report = audit(collect(str(folder)), rulebook.load(), policy.load()).submissions[0]
    found = {
        f"{finding.rule}: {finding.message}" for finding in report.findings if finding.severity is not Severity.NOTE
    }
    assert (report.verdict, found, report.gaps) == (Verdict.CLEAN, set(), ())
    assert report.level is Level.CONSISTENT
