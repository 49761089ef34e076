"""The stages of a run: their order, their budgets, and the file that is scored."""

import copy
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from reference_trainer import gptq, training
from reference_trainer import run as run_module
from reference_trainer.__main__ import PRESETS
from reference_trainer.artifact import read_artifact
from reference_trainer.data import Files, open_shard
from reference_trainer.distributed import Ranks
from reference_trainer.errors import BadInput, OverBudget
from reference_trainer.preset import Budget, Preset, tiny
from reference_trainer.quantisation import MaxClip, QuantisationPlan, RowFormat
from reference_trainer.run import RunResult, exit_status, precision, refuse_overruns, run, score_name
from tests.reference_trainer.test_distributed import run_ranks

SOURCE = '"""The source."""\n'
ALONE = Ranks(0, 1, torch.device("cpu"))


def run_tiny(preset: Preset, files: Files, folder: Path, seed: int = 1337) -> RunResult:
    return run(preset, seed, files, SOURCE, folder, folder / "model.bin", ALONE)


def log_of(folder: Path, seed: int = 1337) -> str:
    return (folder / f"train_seed{seed}.log").read_text("utf-8")


@pytest.fixture
def baseline(few_steps: None) -> Preset:
    return tiny(PRESETS["baseline"])


@pytest.mark.parametrize("name", PRESETS)
def test_a_run_goes_through_all_stages(name: str, few_steps: None, files: Files, tmp_path: Path) -> None:
    preset = tiny(PRESETS[name])
    result = run_tiny(preset, files, tmp_path)
    log = log_of(tmp_path)
    assert result.steps == 8
    assert 0 < result.val_loss < math.log(512) + 0.1
    assert result.model_bytes == (tmp_path / "model.bin").stat().st_size
    assert result.code_bytes == len(SOURCE)
    assert result.overruns == ()
    assert log.startswith(SOURCE + "=" * 100 + "\nseed:1337\n")
    stages = ["val_loader:", "model_params:", "step:8/8 train_loss:", "Serialized model", "Total submission", "_exact"]
    assert [log.find(stage) for stage in stages] == sorted(log.find(stage) for stage in stages)
    assert all(stage in log for stage in stages)
    final = f"{score_name(preset)}_exact val_loss:{result.val_loss:.8f} val_bpb:{result.val_bpb:.8f}"
    assert log.splitlines()[-1] == final


@pytest.mark.parametrize("name", PRESETS)
def test_a_run_is_bit_identical_for_its_seed(name: str, few_steps: None, files: Files, tmp_path: Path) -> None:
    preset = tiny(PRESETS[name])
    results = [run_tiny(preset, files, tmp_path / part) for part in ("one", "two")]
    assert (tmp_path / "one" / "model.bin").read_bytes() == (tmp_path / "two" / "model.bin").read_bytes()
    assert results[0].val_loss.hex() == results[1].val_loss.hex()
    assert results[0].val_bpb.hex() == results[1].val_bpb.hex()


def test_another_seed_is_another_run(baseline: Preset, files: Files, tmp_path: Path) -> None:
    one, other = (run_tiny(baseline, files, tmp_path, seed) for seed in (1, 2))
    assert one.val_loss != other.val_loss


def test_the_scored_weights_are_those_of_the_file(
    baseline: Preset, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With zeros in the file every token has the same probability, whatever was trained."""

    def zeros(path: Path) -> dict[str, Tensor]:
        return {name: torch.zeros_like(tensor) for name, tensor in read_artifact(path).items()}

    monkeypatch.setattr(run_module, "read_artifact", zeros)
    assert run_tiny(baseline, files, tmp_path).val_loss == pytest.approx(math.log(512), rel=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_the_artifact_holds_every_weight(
    name: str, few_steps: None, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network whose state was destroyed gets all of it back from the file, as it was quantised."""
    scored: list[dict[str, Tensor]] = []
    quantised: list[dict[str, Tensor]] = []

    def destroy_and_read(path: Path) -> dict[str, Tensor]:
        with torch.no_grad():
            for tensor in networks[0].state_dict().values():
                tensor.zero_()
        return read_artifact(path)

    networks: list[nn.Module] = []
    build, quantise, score = run_module.build_network, run_module.quantise, run_module.score_artifact

    def building(*arguments: object) -> nn.Module:
        networks.append(build(*arguments))  # type: ignore[arg-type]
        return networks[0]

    def quantising(*arguments: object) -> object:
        packed = quantise(*arguments)  # type: ignore[arg-type]
        quantised.append({n: v.clone() if isinstance(v, Tensor) else v.dequantise() for n, v in packed.items()})
        return packed

    def scoring(network: nn.Module, *arguments: object) -> object:
        scored.append(copy.deepcopy(network.state_dict()))
        return score(network, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run_module, "build_network", building)
    monkeypatch.setattr(run_module, "quantise", quantising)
    monkeypatch.setattr(run_module, "read_artifact", destroy_and_read)
    monkeypatch.setattr(run_module, "score_artifact", scoring)
    run_tiny(tiny(PRESETS[name]), files, tmp_path)
    assert scored[0].keys() == quantised[0].keys()
    for tensor_name, tensor in scored[0].items():
        assert torch.equal(tensor, quantised[0][tensor_name].to(tensor.dtype)), tensor_name


def test_calibration_reads_training_tokens_only(
    few_steps: None, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Tensor] = []
    collect = gptq.collect_hessians

    def listening(network: nn.Module, tokens: Iterable[Tensor]) -> dict[str, Tensor]:
        batches.extend(tokens)
        return collect(network, batches)

    monkeypatch.setattr(run_module, "collect_hessians", listening)
    run_tiny(tiny(PRESETS["sp8192-sdclip"]), files, tmp_path)
    text = open_shard(next(files.data.glob("fineweb_train_*.bin"))).tobytes()
    rows = [row.numpy().astype("<u2").tobytes() for batch in batches for row in batch]
    assert len(rows) == 8  # one batch
    assert all(row in text for row in rows)


# Budgets


def test_time_over_the_budget_is_logged_and_refused(baseline: Preset, files: Files, tmp_path: Path) -> None:
    hurried = replace(baseline, budget=Budget(training=0.001, evaluation=0.001))
    result = run_tiny(hurried, files, tmp_path)
    assert len(result.overruns) == 2
    lines = [line for line in log_of(tmp_path).splitlines() if line.startswith("over budget: ")]
    assert [line.split()[2] for line in lines] == ["training", "evaluation"]
    with pytest.raises(OverBudget, match=r"seed 1337: training took .* s of 0 s; seed 1337: evaluation took"):
        refuse_overruns([result])


def test_an_artifact_over_the_cap_is_refused_with_its_size(baseline: Preset, files: Files, tmp_path: Path) -> None:
    small = replace(baseline, budget=Budget(artifact=10_000))
    with pytest.raises(OverBudget, match=r"code 18 \+ model [\d,]+ = [\d,]+ bytes, not below 10,000"):
        run_tiny(small, files, tmp_path)
    assert "Total submission size int8+zlib: " in log_of(tmp_path)
    assert "val_bpb" not in log_of(tmp_path).splitlines()[-1]


def test_counting_and_building_are_part_of_training(
    baseline: Preset, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserves: list[float] = []
    train = training.train

    def listening(network: nn.Module, preset: Preset, *arguments: object) -> object:
        reserves.append(preset.budget.reserve)
        return train(network, preset, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run_module, "train", listening)
    result = run_tiny(baseline, files, tmp_path)
    preparation = reserves[0] - baseline.budget.reserve
    assert 0 < preparation < result.training_seconds


@pytest.mark.parametrize(
    "problem, status",
    [(BadInput("no shards"), 2), (OverBudget("too large"), 1), (None, 0)],
    ids=["input", "budget", "none"],
)
def test_exit_status(problem: Exception | None, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        if problem is not None:
            raise problem

    assert exit_status(work) == status
    assert len(capsys.readouterr().err.splitlines()) == (1 if status else 0)


# The log


@pytest.mark.parametrize(
    "name, start",
    [
        ("baseline", "final_int8_zlib_roundtrip "),
        ("count-bigram", "final_int4_int5_int6_int8_sliding_window "),
        ("unet-ttt", "legal_ttt "),
        ("sp8192-sdclip", "final_int6_int8_sliding_window "),
    ],
)
def test_the_score_is_named_by_what_was_scored(name: str, start: str) -> None:
    assert score_name(PRESETS[name]) + " " == start


def test_formats_are_named_in_full() -> None:
    formats = (("*.weight", RowFormat(6, MaxClip())), ("a", RowFormat(5, MaxClip())), ("b", RowFormat(6, MaxClip())))
    assert precision(QuantisationPlan(formats)) == "int5+int6"


def test_the_log_speaks_the_vocabulary_of_the_challenge(baseline: Preset, files: Files, tmp_path: Path) -> None:
    run_tiny(baseline, files, tmp_path)
    log = log_of(tmp_path)
    for pattern in (
        r"^seed:1337$",
        r"^train_loader:dataset:fineweb10B_sp512 train_shards:1$",
        r"^val_loader:shards pattern=\S+/fineweb_val_\*\.bin tokens:\d+$",
        r"^val_bytes:\d+$",
        r"^model_params:\d+$",
        r"^world_size:1 grad_accum_steps:8$",
        r"^train_batch_tokens:1024 train_seq_len:128$",
        r"^step:8/8 train_loss:\d\.\d{4} train_time:\d+ms step_avg:\d+\.\d\dms$",
        r"^step:8/8 val_loss:\d\.\d{4} val_bpb:\d\.\d{4} train_time:\d+ms step_avg:\d+\.\d\dms$",
        r"^Serialized model int8\+zlib: \d+ bytes$",
        r"^Code size: 18 bytes$",
        r"^Total submission size int8\+zlib: \d+ bytes$",
        r"^final_int8_zlib_roundtrip val_loss:\d\.\d{4} val_bpb:\d\.\d{4} eval_time:\d+ms$",
        r"^final_int8_zlib_roundtrip_exact val_loss:\d\.\d{8} val_bpb:\d\.\d{8}$",
    ):
        assert len(re.findall(pattern, log, re.MULTILINE)) == 1, pattern


# Ranks

WORKER = """
import json
from pathlib import Path
import torch
from reference_trainer import preset as preset_module
preset_module.TINY_STEPS = 8
from reference_trainer.__main__ import PRESETS
from reference_trainer.data import Files
from reference_trainer.distributed import join_ranks
from reference_trainer.preset import tiny
from reference_trainer.run import run

with join_ranks() as ranks:
    folder = Path({folder!r}) / str(ranks.world_size)
    files = Files(Path({data!r}), Path({tokenizer!r}))
    result = run(tiny(PRESETS["baseline"]), 1337, files, "source", folder, folder / "model.bin", ranks)
    print(json.dumps([result.val_loss, result.val_bpb, result.model_bytes]))
"""


def test_two_ranks_train_and_score_as_one_does(files: Files, tmp_path: Path) -> None:
    code = WORKER.format(folder=str(tmp_path), data=str(files.data), tokenizer=str(files.tokenizer))
    one, again = run_ranks(2, code)
    assert one == again
    (alone,) = run_ranks(1, code)
    assert one[:2] == pytest.approx(alone[:2], rel=1e-4)  # type: ignore[index]
    assert "world_size:2 grad_accum_steps:4" in log_of(tmp_path / "2")
    assert log_of(tmp_path / "2").count("_exact") == 1
