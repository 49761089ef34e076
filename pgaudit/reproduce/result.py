"""What one seed came to: measured from outside, and beside it what the run said of itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pgaudit.evidence.denominator import every_evaluation
from pgaudit.evidence.logs import Log, Stop
from pgaudit.evidence.sizes import run_size
from pgaudit.reproduce.curves import Curve, curve_of
from pgaudit.reproduce.inputs import Input
from pgaudit.reproduce.sampling import GpuUse
from pgaudit.reproduce.supervise import Ending, Observed
from pgaudit.reproduce.weigh import Weighed


@dataclass(frozen=True)
class SeedResult:
    """One seed. Times are seconds and sizes bytes; what starts with ``reported`` was read in the run's own output."""

    seed: int
    ending: str
    explanation: str
    status: int | None
    seconds: float
    first_step: float | None
    """From the start to the first line of a training step."""
    stepping: float
    """Between lines of training steps, validation left out: what training took at the least."""
    training: float | None
    """From the first step's line to the first line after training: what it took at the most but for the first step."""
    evaluation: float | None
    """From there to the last score, packing included."""
    compared: float
    """The part of ``stepping`` for which the log has a time of its own …"""
    reported_compared: float
    """… and that time."""
    val_bpb: float | None
    val_loss: float | None
    steps: int | None
    stop: str | None
    reported_training: float | None
    reported_evaluation: float | None
    reported_total_bytes: int | None
    code_bytes: int
    code_files: tuple[str, ...]
    model_bytes: int | None
    model_file: str
    other_compressed_bytes: int
    """Of other compressed files that the run wrote."""
    altered: tuple[str, ...]
    files_read: tuple[str, ...] | None
    """Shipped files beside the code that it read; ``None`` where the file system does not tell."""
    peak_bytes: int
    peak_processes: int
    gpu: GpuUse | None
    """Memory and clocks; ``None`` without a GPU."""
    left_running: int
    output: str
    """Where its output is kept."""
    curve: Curve = field(default_factory=Curve)
    """Its losses by step."""
    input: str = Input.OFFICIAL
    """What it was given."""
    model_sha256: str = ""
    rounding: float = 0.0
    """Relative error that rounding of the printed val_loss and val_bpb allows in their ratio."""
    tokens_per_byte: float | None = None
    """The most that any of its whole evaluations, those during training too, implies by its loss and bpb."""

    @property
    def label(self) -> str:
        """The seed, and its input where that is not the official one."""
        return str(self.seed) if self.input == Input.OFFICIAL else f"{self.seed}, {self.input}"

    @property
    def finished(self) -> bool:
        """It ran to its end and printed a score."""
        return self.ending == Ending.FINISHED and self.val_bpb is not None

    @property
    def total_bytes(self) -> int | None:
        """Code and model, weighed from outside."""
        return None if self.model_bytes is None else self.code_bytes + self.model_bytes

    @property
    def by_steps(self) -> bool:
        """Training ended with its last step and not by the clock, so that slower hardware does not change the score."""
        return self.stop == Stop.ITERATIONS

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> SeedResult:
        """Back from JSON values."""
        known: dict[str, Any] = {each.name: document[each.name] for each in fields(cls)}
        known["gpu"] = GpuUse(**known["gpu"]) if known["gpu"] else None
        known["curve"] = Curve.read(known["curve"])
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
        }
        return cls(**values)


def result_of(seed: int, seen: Observed, weighed: Weighed, gpu: GpuUse | None, output: str) -> SeedResult:
    """Put together what was seen, weighed and printed."""
    log: Log = seen.stages.reader.log()
    final, size, spent = log.final, run_size(log), log.train_time
    evaluations = [timing.seconds for timing in log.eval_times if log.counts(timing.location)]
    explanation = seen.explanation
    if seen.ending is Ending.FINISHED and not (final and final.val_bpb):
        explanation = "the command ended without printing a val_bpb"
    stages = seen.stages
    printed = [figure for figure in (final.val_loss, final.val_bpb) if figure and figure.value] if final else []
    return SeedResult(
        seed,
        str(seen.ending),
        explanation,
        seen.status,
        seen.seconds,
        stages.first_step,
        stages.stepping,
        stages.training,
        stages.evaluation,
        stages.compared,
        stages.reported,
        final.val_bpb.value if final and final.val_bpb else None,
        final.val_loss.value if final and final.val_loss else None,
        log.train_steps[-1].step if log.train_steps else None,
        log.stop.value if log.stop else None,
        spent.seconds if spent else None,
        sum(evaluations) if evaluations else None,
        size.total.bytes if size else None,
        weighed.code,
        weighed.code_files,
        weighed.model,
        weighed.model_file,
        weighed.others,
        weighed.altered,
        weighed.files_read,
        seen.peak_bytes,
        seen.peak_processes,
        gpu,
        seen.left,
        output,
        curve_of(log, stages.arrivals),
        Input.OFFICIAL,
        weighed.model_sha256,
        sum(abs(figure.error / figure.value) for figure in printed),
        max((each.tokens_per_byte * (1 + each.slack) for each in every_evaluation(log)), default=None),
    )
