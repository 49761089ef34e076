"""One run of a preset: train, average, calibrate, quantise, pack, read back, score.

Everything up to the packed artifact is training and happens inside its budget; what reads the artifact is evaluation and has a
budget of its own. The weights that are scored are always those that were read back from the file.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from reference_trainer.artifact import check_size, read_artifact, write_artifact
from reference_trainer.bigram import count_bigrams
from reference_trainer.data import (
    Files,
    TokenStream,
    ValidationText,
    default_files,
    load_validation,
    required_shards,
    training_tokens,
)
from reference_trainer.distributed import LARGEST_WORLD, Ranks, join_ranks
from reference_trainer.errors import BadInput, OverBudget
from reference_trainer.evaluation import Score, score_text
from reference_trainer.gptq import collect_hessians
from reference_trainer.manifold.build import build_manifold
from reference_trainer.manifold.network import ManifoldNetwork
from reference_trainer.manifold.settings import ManifoldSettings
from reference_trainer.preset import Budget, Preset, TestTimeTraining, TrainingSettings, TransformerSettings
from reference_trainer.quantisation import QuantisationPlan, Quantised, quantise_state
from reference_trainer.test_time_training import score_first
from reference_trainer.training import sequences_per_part, train
from reference_trainer.transformer import Transformer

COUNTED_TOKENS = 100_000_000  # the first training tokens, on which statistics of the corpus are counted


@dataclass(frozen=True)
class RunResult:
    """What one seed came to."""

    seed: int
    val_loss: float
    val_bpb: float
    code_bytes: int
    model_bytes: int
    steps: int
    training_seconds: float
    evaluation_seconds: float
    overruns: tuple[str, ...]

    @property
    def bytes_total(self) -> int:
        return self.code_bytes + self.model_bytes


@dataclass(frozen=True)
class RunLog:
    """The log of a run: the first rank writes each line to the file and to the terminal."""

    path: Path
    ranks: Ranks

    def start(self, source: str) -> None:
        """Begins the file with the source of what runs."""
        if self.ranks.first:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.write_text(source + "=" * 100 + "\n", "utf-8")
            except OSError as problem:
                raise BadInput(f"cannot write {self.path}: {problem.strerror}") from problem

    def __call__(self, line: str) -> None:
        if self.ranks.first:
            print(line, flush=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def run(preset: Preset, seed: int, files: Files, source: str, logs: Path, artifact: Path, ranks: Ranks) -> RunResult:
    """All stages of one seed. The log goes into the folder `logs`, the weights into the file `artifact`."""
    log = RunLog(logs / f"train_seed{seed}.log", ranks)
    log.start(source)
    torch.manual_seed(seed)
    if preset.tiny:
        torch.set_num_threads(1)  # its tensors are too small to share
    started = time.perf_counter()
    text = load_validation(files, preset.network.vocabulary, preset.evaluation.sequence)
    loading = time.perf_counter() - started
    log_inputs(preset, seed, files, text, ranks, log)

    trained = make_artifact(preset, files, text, source, artifact, log, ranks)

    started = time.perf_counter()
    trained.network.load_state_dict(read_artifact(artifact))
    score = score_artifact(trained.network, text, preset, ranks)
    ranks.wait()
    evaluation_seconds = loading + time.perf_counter() - started
    log_score(score, preset, evaluation_seconds, log)
    overruns = find_overruns(preset.budget, trained.seconds, evaluation_seconds)
    for overrun in overruns:
        log(f"over budget: {overrun}")
    return RunResult(
        seed=seed,
        val_loss=score.val_loss,
        val_bpb=score.val_bpb,
        code_bytes=len(source.encode()),
        model_bytes=trained.model_bytes,
        steps=trained.steps,
        training_seconds=trained.seconds,
        evaluation_seconds=evaluation_seconds,
        overruns=overruns,
    )


@dataclass(frozen=True)
class Trained:
    """A network whose weights are in the artifact, and what it took."""

    network: nn.Module
    steps: int
    seconds: float
    model_bytes: int


def make_artifact(
    preset: Preset, files: Files, text: ValidationText, source: str, artifact: Path, log: RunLog, ranks: Ranks
) -> Trained:
    """Everything that the training budget pays for. What is counted before the first step shortens the training."""
    started = time.perf_counter()
    stream = TokenStream(files.data, preset.network.vocabulary, ranks)
    network = build_network(preset, files.data).to(ranks.device)
    preparation = ranks.mean(time.perf_counter() - started)  # all have to stop training at the same step
    log(f"model_params:{sum(weight.numel() for weight in network.parameters())}")

    def validate() -> tuple[float, float]:
        score = score_text(network, text, replace(preset.evaluation, stride=None), ranks)
        return score.val_loss, score.val_bpb

    shortened = replace(preset.budget, reserve=preset.budget.reserve + preparation)
    training = train(network, replace(preset, budget=shortened), stream, ranks, log, validate)

    started = time.perf_counter()
    network.load_state_dict(training.state)
    packed = quantise(network, preset, stream, ranks)
    quantisation = time.perf_counter() - started
    model_bytes = write(packed, preset, artifact, source, log, ranks)
    packing = time.perf_counter() - started - quantisation
    log(
        f"stages: preparation:{preparation:.1f}s training:{training.seconds:.1f}s "
        f"calibration_and_quantisation:{quantisation:.1f}s packing:{packing:.1f}s"
    )
    seconds = preparation + training.seconds + quantisation + packing
    return Trained(network, training.steps, seconds, model_bytes)


def build_network(preset: Preset, data: Path) -> nn.Module:
    """A network with its first weights; what it counts, it counts on training tokens."""
    match preset.network:
        case TransformerSettings() as shape:
            counts = None
            if shape.count_bigram:
                tokens = training_tokens(data, COUNTED_TOKENS, shape.vocabulary)
                counts = count_bigrams(tokens, shape.vocabulary)
            return Transformer(shape, counts)
        case ManifoldSettings() as geometry:
            tokens = training_tokens(data, geometry.counted_tokens, geometry.vocabulary)
            return ManifoldNetwork(geometry, build_manifold(geometry, tokens))
        case _:
            raise TypeError(f"no network of {preset.network}")


def quantise(network: nn.Module, preset: Preset, stream: TokenStream, ranks: Ranks) -> dict[str, Quantised | Tensor]:
    """The trained weights as the artifact holds them."""
    plan = preset.quantisation
    match plan.method:
        case "round":
            return quantise_state(network.state_dict(), plan)
        case "gptq":
            network.eval()
            own = collect_hessians(network, calibration_batches(stream, preset.training, ranks))
            return quantise_state(
                network.state_dict(), plan, {name: ranks.sum(hessian) for name, hessian in own.items()}
            )


def calibration_batches(stream: TokenStream, settings: TrainingSettings, ranks: Ranks) -> Iterator[Tensor]:
    """This rank's part of one more training batch."""
    for _ in range(LARGEST_WORLD // ranks.world_size):
        inputs, _ = stream.next_batch(sequences_per_part(settings), settings.sequence)
        yield inputs


def write(
    packed: dict[str, Quantised | Tensor], preset: Preset, artifact: Path, source: str, log: RunLog, ranks: Ranks
) -> int:
    """The first rank writes the artifact, whose size and that of the code have to be below the cap together."""
    plan = preset.quantisation
    if ranks.first:
        artifact.parent.mkdir(parents=True, exist_ok=True)
        write_artifact(artifact, packed, plan.codec)
    ranks.barrier()
    model_bytes, code_bytes = artifact.stat().st_size, len(source.encode())
    log(f"Serialized model {precision(plan)}+{plan.codec}: {model_bytes} bytes")
    log(f"Code size: {code_bytes} bytes")
    log(f"Total submission size {precision(plan)}+{plan.codec}: {model_bytes + code_bytes} bytes")
    check_size(code_bytes, model_bytes, preset.budget.artifact)
    return model_bytes


def precision(plan: QuantisationPlan) -> str:
    """The integer formats by name: int8, int5+int6."""
    return "+".join(f"int{bits}" for bits in sorted({row_format.bits for _, row_format in plan.formats}))


def score_artifact(network: nn.Module, text: ValidationText, preset: Preset, ranks: Ranks) -> Score:
    match preset.evaluation.test_time_training:
        case TestTimeTraining() as adaptation:
            return score_first(network, text, preset.evaluation, adaptation, ranks)
        case None:
            return score_text(network, text, preset.evaluation, ranks)


def log_inputs(preset: Preset, seed: int, files: Files, text: ValidationText, ranks: Ranks, log: RunLog) -> None:
    log(f"seed:{seed}")
    log(f"preset:{preset.name} torch:{torch.__version__} device:{device_name(ranks.device)}")
    log(f"train_loader:dataset:{files.data.name} train_shards:{len(required_shards(files.data, 'train'))}")
    log(f"val_loader:shards pattern={files.data}/fineweb_val_*.bin tokens:{len(text.tokens) - 1}")
    log(f"val_bytes:{text.bytes[1:].sum().item()}")


def log_score(score: Score, preset: Preset, seconds: float, log: RunLog) -> None:
    """The score twice: to be read, and with every digit that counts."""
    name = score_name(preset)
    stride = f" stride:{preset.evaluation.stride}" if preset.evaluation.stride else ""
    log(f"{name} val_loss:{score.val_loss:.4f} val_bpb:{score.val_bpb:.4f}{stride} eval_time:{1000 * seconds:.0f}ms")
    log(f"{name}_exact val_loss:{score.val_loss:.8f} val_bpb:{score.val_bpb:.8f}")


def score_name(preset: Preset) -> str:
    formats = precision(preset.quantisation).replace("+", "_")
    if preset.evaluation.test_time_training:
        return "legal_ttt"
    if preset.evaluation.stride:
        return f"final_{formats}_sliding_window"
    return f"final_{formats}_{preset.quantisation.codec}_roundtrip"


def find_overruns(budget: Budget, training_seconds: float, evaluation_seconds: float) -> tuple[str, ...]:
    """What took longer than the challenge allows."""
    stages = (("training", training_seconds, budget.training), ("evaluation", evaluation_seconds, budget.evaluation))
    return tuple(f"{stage} took {used:.1f} s of {allowed:.0f} s" for stage, used, allowed in stages if used > allowed)


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def run_script(preset: Preset, source: str) -> int:
    """What a bundled `train_gpt.py` does: one run of its preset. DATA_PATH, TOKENIZER_PATH and SEED say with what."""
    usual = default_files(Path("data"), preset.network.vocabulary)
    data = Path(os.environ.get("DATA_PATH", usual.data))
    tokenizer = Path(os.environ.get("TOKENIZER_PATH", usual.tokenizer))
    seed = os.environ.get("SEED", "1337")

    def work() -> None:
        if not seed.isdecimal():
            raise BadInput(f"SEED is {seed!r}, not a number")
        with join_ranks() as ranks:
            result = run(
                preset, int(seed), Files(data, tokenizer), source, Path("logs"), Path("final_model.bin"), ranks
            )
        refuse_overruns([result])

    return exit_status(work)


def refuse_overruns(results: Sequence[RunResult]) -> None:
    """A run over its time is no submission, however good its score."""
    overruns = [f"seed {result.seed}: {overrun}" for result in results for overrun in result.overruns]
    if overruns:
        raise OverBudget("; ".join(overruns))


def exit_status(work: Callable[[], None]) -> int:
    """0, 1 for a limit that was not kept, 2 for an input that cannot be used; the last two with one line."""
    try:
        work()
    except BadInput as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except OverBudget as problem:
        print(f"over budget: {problem}", file=sys.stderr)
        return 1
    return 0
