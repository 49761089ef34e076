"""The training loop: the same on one process as on two, reproducible, inside its budget, in the words of the log.

Run as a script this file is one of several processes: `python test_training.py DATA RESULT BUDGET`.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reference_trainer import training
from reference_trainer.averaging import WeightAverage
from reference_trainer.data import Files, TokenStream
from reference_trainer.distributed import Ranks, join_ranks
from reference_trainer.errors import BadInput, OverBudget
from reference_trainer.layers import Dense
from reference_trainer.preset import Averaging, Budget, Preset, TransformerSettings
from reference_trainer.presets.baseline import PRESET as BASELINE
from reference_trainer.presets.sp8192_sdclip import PRESET as SP8192_SDCLIP
from reference_trainer.training import Trainer, TrainingClock, TrainingResult, sequences_per_part, train
from reference_trainer.transformer import Transformer

ALONE = Ranks(0, 1, torch.device("cpu"))
SEQUENCE = 32


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from a second thread, and lose much where processors are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(preset: Preset, steps: int = 6) -> Preset:
    """Two sequences in each eighth of a batch."""
    network = preset.network
    assert isinstance(network, TransformerSettings)
    embeddings = network.value_embeddings and 8
    return replace(
        preset,
        network=replace(
            network, vocabulary=512, width=32, heads=4, kv_heads=2, repeat_from=3, value_embeddings=embeddings
        ),
        training=replace(
            preset.training, batch_tokens=16 * SEQUENCE, sequence=SEQUENCE, steps=steps, warmup_steps=2, log_every=3
        ),
        tiny=True,
    )


def in_budget(preset: Preset, seconds: float) -> Preset:
    """As many steps as fit."""
    budget = Budget(training=seconds + 5, reserve=5)
    return replace(
        preset, tiny=False, budget=budget, training=replace(preset.training, steps=1_000_000, log_every=10**6)
    )


def network_of(preset: Preset) -> Transformer:
    assert isinstance(preset.network, TransformerSettings)
    torch.manual_seed(3)
    return Transformer(preset.network)


def trained(preset: Preset, data: Path, ranks: Ranks = ALONE, lines: list[str] | None = None) -> TrainingResult:
    stream = TokenStream(data, preset.network.vocabulary, ranks)
    log = lines.append if lines is not None else lambda _: None
    return train(network_of(preset), preset, stream, ranks, log, None)


# One process and several


def run_processes(world_size: int, data: Path, folder: Path, budget: float) -> list[dict[str, Tensor]]:
    """What each process of a run over gloo came to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = os.environ | {
        "WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    results = [folder / f"rank{rank}.pt" for rank in range(world_size)]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(data), str(result), str(budget)], env=shared | {"RANK": str(rank)}
        )
        for rank, result in enumerate(results)
    ]
    try:
        assert [process.wait(timeout=240) for process in processes] == [0] * world_size
    finally:
        for process in processes:
            process.kill()
    return [torch.load(result) for result in results]


def be_one_process(data: Path, result: Path, budget: float) -> None:
    torch.set_num_threads(1)
    preset = small(SP8192_SDCLIP)
    with join_ranks() as ranks:
        run = trained(in_budget(preset, budget) if budget else preset, data, ranks)
    outcome = {"steps": torch.tensor(run.steps), "seconds": torch.tensor(run.seconds)}
    torch.save(run.state | outcome, result)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_a_batch_that_one_accumulates(world_size: int, files: Files, tmp_path: Path) -> None:
    preset = small(SP8192_SDCLIP)
    alone = trained(preset, files.data)
    first, *others = run_processes(world_size, files.data, tmp_path, 0)
    start = dict(network_of(preset).named_parameters())
    for name, weight in alone.state.items():
        torch.testing.assert_close(first[name], weight, atol=2e-4, rtol=1e-3)
        assert all(torch.equal(first[name], other[name]) for other in others), "ranks drift apart"
        assert not torch.equal(start[name], weight), f"{name} does not learn"


def test_processes_stop_at_the_same_step_inside_the_budget(files: Files, tmp_path: Path) -> None:
    first, second = run_processes(2, files.data, tmp_path, 2.0)
    assert first["steps"] == second["steps"]
    assert all(torch.equal(first[name], second[name]) for name in network_of(small(SP8192_SDCLIP)).state_dict())


def parts_of(data: Path, ranks: Ranks, steps: int) -> Tensor:
    """All inputs and targets of one rank, (parts, 2, sequences, tokens)."""
    stream = TokenStream(data, 512, ranks)
    return torch.stack([torch.stack(stream.next_batch(2, SEQUENCE)) for _ in range(steps * 8 // ranks.world_size)])


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_a_step_reads_the_same_tokens_for_any_number_of_ranks(world_size: int, files: Files) -> None:
    ranks = [Ranks(rank, world_size, torch.device("cpu")) for rank in range(world_size)]
    joined = torch.stack([parts_of(files.data, rank, steps=2) for rank in ranks], dim=1).flatten(0, 1)
    assert torch.equal(joined, parts_of(files.data, ALONE, steps=2))


@pytest.mark.parametrize("batch_tokens", [0, 32, 8 * SEQUENCE + 8, 9 * SEQUENCE])
def test_a_batch_is_eight_parts_of_whole_sequences(batch_tokens: int) -> None:
    settings = replace(BASELINE.training, batch_tokens=batch_tokens, sequence=SEQUENCE)
    with pytest.raises(BadInput, match=f"{batch_tokens} tokens are not 8 equal parts of sequences of 32"):
        sequences_per_part(settings)
    assert sequences_per_part(BASELINE.training) * 8 * 1024 == 524_288
    assert sequences_per_part(SP8192_SDCLIP.training) * 8 * 2048 == 786_432


# One run


def test_fixed_steps_are_the_same_to_the_bit(files: Files) -> None:
    preset = replace(small(SP8192_SDCLIP), averaging=Averaging(ema_decay=0.9, swa_from=0.4, swa_every=1))
    first, second = trained(preset, files.data), trained(preset, files.data)
    assert first.steps == 6
    assert first.stopped == "steps"
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_it_learns(files: Files) -> None:
    lines: list[str] = []
    trained(small(BASELINE, steps=24), files.data, lines=lines)
    losses = [float(line.split("train_loss:")[1].split()[0]) for line in lines if "train_loss" in line]
    assert losses[0] == pytest.approx(6.24, abs=0.05)  # ln 512
    assert losses[-1] < losses[0] - 0.5


def test_gradients_are_those_of_the_mean_loss_over_the_batch(files: Files) -> None:
    preset = small(BASELINE)
    network = network_of(preset)
    trainer = Trainer(network, preset, TokenStream(files.data, 512, ALONE), ALONE, lambda _: None)
    loss = trainer._accumulate_gradients()
    inputs, targets = parts_of(files.data, ALONE, steps=1).transpose(0, 1).flatten(1, 2)  # (16, 32) each
    expected = torch.nn.functional.cross_entropy(network(inputs).flatten(0, 1), targets.flatten())
    weights = list(network.parameters())
    torch.testing.assert_close(loss, expected)
    for weight, gradient in zip(weights, torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)


def test_gradients_are_clipped(files: Files) -> None:
    norms = []
    for clip in (None, 0.01):
        preset = replace(small(BASELINE), optimizer=replace(BASELINE.optimizer, grad_clip=clip))
        trainer = Trainer(network_of(preset), preset, TokenStream(files.data, 512, ALONE), ALONE, lambda _: None)
        trainer._accumulate_gradients()
        trainer._update_weights(0, 0.0)
        squares = [weight.grad.square().sum() for weight in trainer.weights if weight.grad is not None]
        norms.append(torch.stack(squares).sum().sqrt().item())
    assert norms[0] > 0.1
    assert norms[1] == pytest.approx(0.01, rel=1e-3)


def test_log_and_validation(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = small(BASELINE)
    preset = replace(preset, training=replace(preset.training, validate_every=4))
    lines: list[str] = []
    clock = ClockOfTheTest()
    monkeypatch.setattr(training, "time", clock)

    def validate() -> tuple[float, float]:
        clock.now += 3600.0
        return 2.5, 1.25

    result = train(network_of(preset), preset, TokenStream(files.data, 512, ALONE), ALONE, lines.append, validate)
    times = r"train_time:\d+ms step_avg:\d+\.\d\dms"
    patterns = [
        r"world_size:1 grad_accum_steps:8",
        r"train_batch_tokens:512 train_seq_len:32",
        rf"step:1/6 train_loss:\d\.\d{{4}} {times}",
        rf"step:3/6 train_loss:\d\.\d{{4}} {times}",
        rf"step:4/6 val_loss:2\.5000 val_bpb:1\.2500 {times}",
        rf"step:6/6 train_loss:\d\.\d{{4}} {times}",
        rf"step:6/6 val_loss:2\.5000 val_bpb:1\.2500 {times}",
    ]
    assert len(lines) == len(patterns)
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, lines, strict=True)), lines
    assert clock.now > 2 * 3600
    spent = [int(line.split("train_time:")[1].split("ms")[0]) for line in lines[2:]]
    assert spent == sorted(spent), "validation takes no time of training, and gives none"
    assert result.seconds < 10


class ClockOfTheTest:
    """Every look at it takes a hundredth of a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.01
        return self.now


# Time


def test_time_ends_training_before_the_reserve(files: Files) -> None:
    lines: list[str] = []
    preset = in_budget(small(BASELINE), 1.5)
    result = trained(preset, files.data, lines=lines)
    assert result.stopped == "wallclock"
    assert result.steps < 1_000_000
    pattern = rf"stopping_early: wallclock_cap train_time:\d+ms step:{result.steps}/1000000"
    assert re.fullmatch(pattern, lines[-1]), lines[-1]


def test_a_budget_without_a_step_is_refused(files: Files) -> None:
    preset = replace(in_budget(small(BASELINE), 1.5), budget=Budget(training=5.0, reserve=10.0))
    with pytest.raises(OverBudget, match=r"no time for a single step: -5\.0 s are left"):
        trained(preset, files.data)


def test_the_step_that_would_not_fit_is_not_begun(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 3 s of this clock, ten seconds hold three."""
    preset = replace(in_budget(small(BASELINE), 10.0))
    trainer = Trainer(network_of(preset), preset, TokenStream(files.data, 512, ALONE), ALONE, lambda _: None)
    monkeypatch.setattr(TrainingClock, "seconds", lambda clock: float(clock.before))
    seen: list[float] = []

    def step(self: Trainer, number: int, progress: float) -> None:
        seen.append(progress)
        self.clock.before += 3.0

    monkeypatch.setattr(Trainer, "_step", step)
    assert trainer.run(None).steps == 3
    assert seen == pytest.approx([0.0, 0.3, 0.6])


def test_a_clock_that_is_paused_stands_still() -> None:
    clock = TrainingClock(ALONE, 600.0)
    clock.resume()
    time.sleep(0.05)
    clock.pause()
    before = clock.seconds()
    time.sleep(0.05)
    assert clock.seconds() == before >= 0.05
    clock.resume()
    time.sleep(0.02)
    assert clock.agreed() >= before + 0.02


# Phases


def test_late_quantisation_and_repeated_layers_begin_at_their_step(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = small(SP8192_SDCLIP)
    preset = replace(preset, training=replace(preset.training, late_qat_from=0.5, late_qat_bits=6))
    network = network_of(preset)
    phases = []

    def forward(trainer: Trainer, inputs: Tensor, targets: Tensor) -> Tensor:
        bits = {module.bits for module in network.modules() if isinstance(module, Dense)}
        phases.append((len(network.order), bits))
        loss: Tensor = network(inputs).mean()
        return loss

    monkeypatch.setattr(Trainer, "_loss_of", forward)
    train(network, preset, TokenStream(files.data, 512, ALONE), ALONE, lambda _: None, None)
    assert phases[::8] == [(11, {None})] * 3 + [(14, {6})] * 3
    assert len(network.order) == 14  # what is evaluated
    assert {module.bits for module in network.modules() if isinstance(module, Dense)} == {None}


def test_compiling_every_phase_changes_no_weight(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens on a GPU before the clock starts, here with the compiler's first stage."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    preset = small(SP8192_SDCLIP)
    preset = replace(preset, training=replace(preset.training, late_qat_from=0.8))
    network = network_of(preset)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trainer = Trainer(network, preset, TokenStream(files.data, 512, ALONE), ALONE, lambda _: None)
    trainer._compile()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(weight.grad is None for weight in trainer.weights)
    with torch.compiler.set_stance("fail_on_recompile"):
        result = trainer.run(None)
    expected = trained(preset, files.data)
    assert all(torch.equal(result.state[name], weight) for name, weight in expected.state.items())


def test_the_loss_is_measured_where_an_average_needs_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []
    monkeypatch.setattr(WeightAverage, "update", lambda self, steps, progress, loss: seen.append(loss))
    for best in (False, True):
        trained(replace(small(BASELINE), averaging=Averaging(ema_decay=0.9, best_training_loss=best)), files.data)
    assert [loss is not None for loss in seen] == [True, False, True, False, False, True] + [True] * 6


if __name__ == "__main__":
    be_one_process(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
