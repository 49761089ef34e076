"""The measuring script: FLOPs against a formula, its table, and the comparison with a stand-in for the challenge's script."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reference_trainer import speed as speed_module
from reference_trainer.__main__ import PRESETS
from reference_trainer.errors import BadInput
from reference_trainer.preset import Preset, TransformerSettings
from reference_trainer.speed import Run, Speed, comparison_row, finished, flops_per_token, main, peak_flops, phases
from reference_trainer.training import TrainingResult
from reference_trainer.transformer import Transformer

CPU = torch.device("cpu")
STAND_IN = """
import os
steps, seed = int(os.environ["ITERATIONS"]), int(os.environ["SEED"])
assert os.path.exists(os.environ["TOKENIZER_PATH"]) and os.listdir(os.environ["DATA_PATH"])
for name in ("TRAIN_BATCH_TOKENS", "TRAIN_SEQ_LEN", "VOCAB_SIZE", "MAX_WALLCLOCK_SECONDS", "VAL_LOSS_EVERY", "WARMDOWN_ITERS"):
    int(os.environ[name])
open("weights.pt", "w").write("left behind")
print("warmup_step:1/20")
for step in range(1, steps + 1):
    print(f"step:{step}/{steps} train_loss:{7 - step:.4f} train_time:{step * seed}ms step_avg:{seed:.2f}ms")
print(f"step:{steps}/{steps} val_loss:2.0 val_bpb:1.2 train_time:1ms step_avg:0.01ms")
"""


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Here and in the processes that are started."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def flops_by_hand(settings: TransformerSettings, layers: int, sequence: int) -> float:
    """Chowdhery et al. 2022, appendix B: 6 FLOPs per weight and token, and 12 x width x sequence per layer of attention."""
    kv_width = settings.width // settings.heads * settings.kv_heads
    weights = 2 * settings.width * (settings.width + kv_width) + int(2 * settings.mlp_ratio * settings.width**2)
    embeddings = settings.value_embeddings * kv_width + settings.hashed_bigram_width * settings.width
    # The bigram projection skips the first token of a sequence.
    embeddings -= settings.hashed_bigram_width * settings.width // sequence
    return (
        6 * (layers * weights + settings.vocabulary * settings.width + embeddings)
        + 12 * layers * settings.width * sequence
    )


@pytest.mark.parametrize("name", ["baseline", "count-bigram", "unet-ttt", "sp8192-sdclip"])
def test_flops_against_the_formula(name: str) -> None:
    for phase in phases(PRESETS[name]):
        assert isinstance(phase.network, TransformerSettings)
        settings = replace(
            phase.network, vocabulary=64, width=128, hashed_bigram_width=phase.network.hashed_bigram_width // 4
        )
        network = Transformer(settings)
        expected = flops_by_hand(settings, len(network.order), 32)
        assert flops_per_token(network, 32, CPU) == pytest.approx(expected, rel=1e-9)


def test_phases_of_the_presets() -> None:
    def shape(preset: Preset) -> tuple[str, int | None, float | None]:
        repeat_from = preset.network.repeat_from if isinstance(preset.network, TransformerSettings) else None
        return preset.name, repeat_from, preset.training.late_qat_from

    assert [shape(phase) for name in ("baseline", "unet-ttt", "sp8192-sdclip") for phase in phases(PRESETS[name])] == [
        ("baseline", 0, None),
        ("unet-ttt", 0, None),
        ("unet-ttt, at its end", 0, 0.0),
        ("sp8192-sdclip", 2000, None),
        ("sp8192-sdclip, at its end", 0, None),
    ]


def test_utilisation() -> None:
    speed = Speed("x", tokens_per_step=524_288, seconds_per_step=0.5, flops_per_token=1e8)
    assert speed.tokens_per_second == 1_048_576
    assert speed.utilisation(989.5e12) == pytest.approx(1e8 * 1_048_576 / 989.5e12)
    assert speed.row(989.5e12).split() == ["x", "1,048,576", "500.00", "100.0", "10.6%"]


@pytest.mark.parametrize(
    "name, peak",
    [
        ("NVIDIA H200", 989.5e12),
        ("NVIDIA H100 80GB HBM3", 989.5e12),
        ("CPU", None),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H200 NVL", None),
    ],
)
def test_peaks(name: str, peak: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_trainer.speed.device_name", lambda device: name)
    assert peak_flops(CPU) == peak


def test_every_measurement_compiles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process the second preset is not compiled as a change of the first."""
    order: list[str] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: order.append("reset"))

    def train(*_: object) -> TrainingResult:
        order.append("train")
        return TrainingResult({}, 1, 1.0, "steps")

    monkeypatch.setattr(speed_module, "train", train)
    assert main(["baseline", "unet-ttt", "--tiny", "--steps", "1", "--device", "cpu"]) == 0
    assert order == ["reset", "train"] * 3  # two phases of the second


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "manifold", "--tiny", "--steps", "2", "--device", "cpu"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"torch {torch.__version__}, CPU, 2 steps, one device"
    assert [re.sub(r"[\d.,]+", "#", line).split() for line in rest[-2:]] == [
        ["baseline", "#", "#", "#", "-"],
        ["manifold", "#", "#", "#", "-"],
    ]


def test_beside_another_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "train_gpt.py"
    script.write_text(STAND_IN)
    command = ["--tiny", "--steps", "3", "--device", "cpu", "--seeds", "100,300", "--against", str(script)]
    assert main(command) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["100", "300", "mean"]
    assert [row[2] for row in rows] == ["100.00", "300.00", "200.00"]  # theirs
    assert {row[5] for row in rows} == {"4.0000"}
    for row in rows:
        assert float(row[3]) == pytest.approx(float(row[1]) / float(row[2]), abs=1e-3)
        assert 5 < float(row[4]) < 7  # ours, of 512 tokens
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train_gpt.py"]  # what it wrote is gone


def test_means_are_over_the_last_step_that_both_logged() -> None:
    pairs = [
        (Run({1: 9.0, 5: 3.0, 6: 1.0}, 10.0), Run({1: 9.0, 5: 4.0}, 20.0)),
        (Run({5: 5.0}, 30.0), Run({5: 4.0}, 20.0)),
    ]
    assert comparison_row("mean", pairs).split() == ["mean", "20.00", "20.00", "1.000", "4.0000", "4.0000"]


@pytest.mark.parametrize(
    "script, reason",
    [
        ("import sys; print('step:2/2 train_loss:1.0 train_time:2ms step_avg:1.00ms'); sys.exit(3)", r"exit status 3"),
        ("print('step:1/2 train_loss:1.0 train_time:2ms step_avg:1.00ms')", r"did not log step:2/2"),
        ("raise SystemError('CUDA is required')", r"CUDA is required"),
    ],
)
def test_a_run_that_does_not_end_is_an_error(script: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=reason):
        finished([sys.executable, "-c", script], {}, tmp_path, 2)


def test_bad_arguments(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments, message in (
        (["basement"], "no preset basement"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--data", "x"], "--data and --tokenizer go together"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert message in capsys.readouterr().err
    assert main(["--against", str(tmp_path / "none.py")]) == 2
    assert "no script" in capsys.readouterr().err
