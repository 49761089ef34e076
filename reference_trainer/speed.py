"""How fast presets train: tokens per second, time per step, and the share of the device's peak that is used (MFU).

    python -m reference_trainer.speed [PRESET ...] [--steps N]             every phase of the presets, one after the other
    python -m reference_trainer.speed --against PATH/train_gpt.py          `baseline` beside the challenge's own script

Without `--data` it trains on synthetic words, in shards of the challenge's format. Only training steps are timed: compilation
comes before the clock, and nothing is validated or exported.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from reference_trainer.__main__ import PRESETS, seed_list
from reference_trainer.data import Files, TokenStream, write_data
from reference_trainer.distributed import Ranks
from reference_trainer.errors import BadInput
from reference_trainer.preset import Preset, TransformerSettings, tiny
from reference_trainer.run import build_network, device_name, exit_status
from reference_trainer.training import ChangesWithStep, Log, train

# Dense bfloat16 FLOP/s from NVIDIA's data sheets, by the name of the device. These are the SXM parts: those on PCIe are
# slower and have names of their own.
PEAK_FLOPS = {"NVIDIA H100 80GB HBM3": 989.5e12, "NVIDIA H200": 989.5e12}
DOCUMENTS, WORDS = 2000, 300  # of the synthetic text, and in each document
STEP = re.compile(r"^step:(\d+)/(\d+) train_loss:([\d.]+) train_time:\S+ step_avg:([\d.]+)ms$", re.MULTILINE)


# Measuring a preset


@dataclass(frozen=True)
class Speed:
    """What a phase of a preset was measured to be."""

    phase: str
    tokens_per_step: int
    seconds_per_step: float
    flops_per_token: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens_per_step / self.seconds_per_step

    def utilisation(self, peak: float) -> float:
        """MFU (Chowdhery et al. 2022)."""
        return self.flops_per_token * self.tokens_per_second / peak

    def row(self, peak: float | None) -> str:
        share = f"{self.utilisation(peak):.1%}" if peak else "-"
        numbers = f"{self.tokens_per_second:>12,.0f} {1000 * self.seconds_per_step:>10.2f}"
        return f"{self.phase:<24} {numbers} {self.flops_per_token / 1e6:>13,.1f} {share:>7}"


def phases(preset: Preset) -> Iterator[Preset]:
    """The preset as its first steps run and, where they differ, as its last."""
    network, late_qat = preset.network, preset.training.late_qat_from is not None
    repeats = isinstance(network, TransformerSettings) and bool(network.repeated) and network.repeat_from > 0
    yield replace(preset, training=replace(preset.training, late_qat_from=None))
    if repeats or late_qat:
        last = replace(network, repeat_from=0) if isinstance(network, TransformerSettings) else network
        training = replace(preset.training, late_qat_from=0.0 if late_qat else None)
        yield replace(preset, name=f"{preset.name}, at its end", network=last, training=training)


def fixed_steps(preset: Preset, steps: int) -> Preset:
    """So many steps whatever the time, in one phase."""
    training = replace(preset.training, steps=steps, log_every=max(1, steps // 10), validate_every=0)
    return replace(preset, training=training, tiny=True)


def measure(preset: Preset, steps: int, seed: int, files: Files, ranks: Ranks, log: Log) -> Speed:
    """Trains for some steps on one device."""
    torch.compiler.reset()  # what was compiled for another preset neither fills the cache nor makes shapes dynamic
    torch.manual_seed(seed)
    network = build_network(preset, files.data).to(ranks.device)
    if isinstance(network, ChangesWithStep):
        network.set_step(0, steps)
    flops = flops_per_token(network, preset.training.sequence, ranks.device)
    stream = TokenStream(files.data, preset.network.vocabulary, ranks)
    result = train(network, fixed_steps(preset, steps), stream, ranks, log, None)
    return Speed(preset.name, preset.training.batch_tokens, result.seconds / result.steps, flops)


def flops_per_token(network: nn.Module, sequence: int, device: torch.device) -> float:
    """Three times a forward pass: matrix products with two FLOPs per multiply-add, attention as its full square."""
    counter = FlopCounterMode(display=False)
    tokens = torch.zeros(1, sequence, dtype=torch.long, device=device)
    with sdpa_kernel(SDPBackend.MATH), counter:  # the plain form of attention is all matrix products
        network(tokens)
    return 3 * counter.get_total_flops() / sequence


def peak_flops(device: torch.device) -> float | None:
    return PEAK_FLOPS.get(device_name(device))


def report(presets: Sequence[Preset], options: argparse.Namespace, folder: Path) -> None:
    """One line per phase of each preset."""
    ranks = Ranks(0, 1, torch.device(options.device))
    peak = peak_flops(ranks.device)
    print(f"torch {torch.__version__}, {device_name(ranks.device)}, {options.steps} steps, one device")
    print(
        "MFU = FLOPs per token x tokens per second / peak; FLOPs per token = 3 x those of a forward pass, with attention"
    )
    print(f"as its full square; peak (dense bfloat16): {f'{peak / 1e12:.1f} TFLOP/s' if peak else 'not known'}")
    print(f"{'preset':<24} {'tokens/s':>12} {'ms/step':>10} {'MFLOP/token':>13} {'MFU':>7}")
    for preset in presets:
        files = find_data(options, preset.network.vocabulary, folder)
        for phase in phases(preset):
            print(measure(phase, options.steps, options.seeds[0], files, ranks, lambda _: None).row(peak), flush=True)


# Beside another script


@dataclass(frozen=True)
class Run:
    """What the log of a run says."""

    losses: Mapping[int, float]  # by step
    milliseconds: float  # per step


def compare(script: Path, preset: Preset, options: argparse.Namespace, folder: Path) -> None:
    """Both on the same data and device, each in its own process, one after the other for each seed."""
    if not script.is_file():
        raise BadInput(f"no script {script}")
    files = find_data(options, preset.network.vocabulary, folder)
    pairs = []
    print(f"torch {torch.__version__}, {device_name(torch.device(options.device))}, {options.steps} steps, one device")
    print(f"{'seed':>6} {'ms/step':>10} {'theirs':>10} {'ratio':>7} {'loss':>9} {'theirs':>9}")
    for number, seed in enumerate(options.seeds):
        pairs.append(run_both(script, preset, seed, files, options, ours_first=number % 2 == 0))
        print(comparison_row(str(seed), pairs[-1:]), flush=True)
    print(comparison_row("mean", pairs))


def run_both(
    script: Path, preset: Preset, seed: int, files: Files, options: argparse.Namespace, ours_first: bool
) -> tuple[Run, Run]:
    """Ours and theirs. They take turns in going first: neither always finds the device as the other left it."""
    if ours_first:
        ours = run_ours(preset, seed, files, options)
        return ours, run_theirs(script, preset, seed, files, options.steps)
    theirs = run_theirs(script, preset, seed, files, options.steps)
    return run_ours(preset, seed, files, options), theirs


def comparison_row(name: str, pairs: Sequence[tuple[Run, Run]]) -> str:
    """Time per step and the loss of the last step that both logs have, averaged over pairs."""
    ours, theirs = mean(run.milliseconds for run, _ in pairs), mean(run.milliseconds for _, run in pairs)
    last = [max(own.losses.keys() & other.losses.keys()) for own, other in pairs]
    own_loss = mean(own.losses[step] for (own, _), step in zip(pairs, last, strict=True))
    other_loss = mean(other.losses[step] for (_, other), step in zip(pairs, last, strict=True))
    return f"{name:>6} {ours:>10.2f} {theirs:>10.2f} {ours / theirs:>7.3f} {own_loss:>9.4f} {other_loss:>9.4f}"


def run_ours(preset: Preset, seed: int, files: Files, options: argparse.Namespace) -> Run:
    """This module again, for one run with its log."""
    command = [sys.executable, "-m", "reference_trainer.speed", preset.name, "--log", "--steps", str(options.steps)]
    command += ["--seeds", str(seed), "--device", options.device]
    command += ["--data", str(files.data), "--tokenizer", str(files.tokenizer), *(["--tiny"] if options.tiny else [])]
    return finished(command, {}, Path.cwd(), options.steps)


def run_theirs(script: Path, preset: Preset, seed: int, files: Files, steps: int) -> Run:
    """The challenge's script, for as many steps of the same batch and the same schedule, without a limit of time."""
    settings = {
        "RUN_ID": f"speed_seed{seed}",
        "SEED": seed,
        "DATA_PATH": files.data.resolve(),
        "TOKENIZER_PATH": files.tokenizer.resolve(),
        "VOCAB_SIZE": preset.network.vocabulary,
        "ITERATIONS": steps,
        "WARMDOWN_ITERS": round(preset.training.warmdown * steps),
        "TRAIN_BATCH_TOKENS": preset.training.batch_tokens,
        "TRAIN_SEQ_LEN": preset.training.sequence,
        "TRAIN_LOG_EVERY": max(1, steps // 10),
        "VAL_LOSS_EVERY": 0,
        "MAX_WALLCLOCK_SECONDS": 0,
    }
    with tempfile.TemporaryDirectory() as folder:  # it writes its log and its weights where it runs
        environment = {name: str(value) for name, value in settings.items()}
        return finished([sys.executable, str(script.resolve())], environment, Path(folder), steps)


def finished(command: Sequence[str], environment: Mapping[str, str], folder: Path, steps: int) -> Run:
    """Runs a training script to its end and reads its log."""
    done = subprocess.run(
        command, env=os.environ | environment, cwd=folder, capture_output=True, text=True, check=False
    )
    lines = STEP.findall(done.stdout)
    if done.returncode or not lines or lines[-1][:2] != (str(steps), str(steps)):
        tail = (done.stdout + done.stderr)[-2000:]
        raise BadInput(f"{' '.join(command)} did not log step:{steps}/{steps} (exit status {done.returncode}):\n{tail}")
    return Run({int(step): float(loss) for step, _, loss, _ in lines}, float(lines[-1][3]))


# Data


def find_data(options: argparse.Namespace, vocabulary: int, folder: Path) -> Files:
    """The data that was named, or synthetic words."""
    if options.data is not None:
        return Files(options.data, options.tokenizer)
    return write_data(synthetic_documents(vocabulary), vocabulary, folder / str(vocabulary), 0.05)


def synthetic_documents(vocabulary: int) -> list[str]:
    """Words of random letters by Zipf's law, of so many kinds that a tokenizer finds its pieces in them."""
    draw = random.Random(vocabulary)
    words = ["".join(draw.choices("etaoinshrdlucm", k=draw.randint(2, 9))) for _ in range(2 * vocabulary)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return [" ".join(draw.choices(words, weights, k=WORDS)) for _ in range(DOCUMENTS)]


# Command line


def parse_speed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reference_trainer.speed", description="Measures training speed.")
    parser.add_argument("presets", nargs="*", metavar="PRESET", help=f"of {', '.join(PRESETS)} (default: all)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seeds", type=seed_list, default=[1337, 42, 2024], help="of the comparison; else the first")
    parser.add_argument(
        "--against", type=Path, metavar="SCRIPT", help="the challenge's train_gpt.py, beside `baseline`"
    )
    parser.add_argument("--data", type=Path, help="the folder with the token shards (default: synthetic words)")
    parser.add_argument("--tokenizer", type=Path, help="the SentencePiece model of --data")
    parser.add_argument("--tiny", action="store_true", help="shrunken presets: shows that the code works")
    parser.add_argument("--log", action="store_true", help="print the log of one run in place of the table")
    options = parser.parse_args(arguments)
    if unknown := set(options.presets) - PRESETS.keys():
        parser.error(f"no preset {', '.join(sorted(unknown))}; there are {', '.join(PRESETS)}")
    if (options.data is None) != (options.tokenizer is None):
        parser.error("--data and --tokenizer go together")
    if options.steps < 1:
        parser.error("--steps must be at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse_speed(arguments)
    return exit_status(lambda: measure_all(options))


def measure_all(options: argparse.Namespace) -> None:
    names = options.presets or (["baseline"] if options.against else list(PRESETS))
    presets = [tiny(PRESETS[name]) if options.tiny else PRESETS[name] for name in names]
    with tempfile.TemporaryDirectory() as folder:
        if options.against:
            for preset in presets:
                compare(options.against, preset, options, Path(folder))
        elif options.log:
            files = find_data(options, presets[0].network.vocabulary, Path(folder))
            ranks = Ranks(0, 1, torch.device(options.device))
            measure(presets[0], options.steps, options.seeds[0], files, ranks, lambda line: print(line, flush=True))
        else:
            report(presets, options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
