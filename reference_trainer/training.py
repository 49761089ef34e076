"""The training loop, under a budget of wall-clock time or, for a tiny preset, for a fixed number of steps.

A step is always the same eight parts of a batch: one rank computes them one after the other, eight ranks side by side.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.autocast import autocast
from reference_trainer.averaging import WeightAverage
from reference_trainer.data import TokenStream
from reference_trainer.distributed import LARGEST_WORLD, Ranks
from reference_trainer.errors import BadInput, OverBudget
from reference_trainer.layers import round_weights
from reference_trainer.optimizer import build_optimizers, learning_rate_scale, muon_momentum, set_rates
from reference_trainer.preset import Preset, TrainingSettings

Log = Callable[[str], None]
Validate = Callable[[], tuple[float, float]]
LossOf = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TrainingResult:
    state: dict[str, Tensor]  # to export: averaged as the preset says
    steps: int
    seconds: float  # without validation
    stopped: str  # "steps" or "wallclock"


@runtime_checkable
class ChangesWithStep(Protocol):
    """A network that is not the same at every step; after training it stays what it was at the last."""

    def set_step(self, step: int, total: int) -> None: ...


class TrainingClock:
    """Seconds of training. The first rank's are those of all ranks, so that all stop, and slow down, at the same step."""

    def __init__(self, ranks: Ranks, limit: float) -> None:
        self.ranks = ranks
        self.limit = limit
        self.before = 0.0  # seconds up to the last pause
        self.resumed: float | None = None  # when the clock began to run again; None while it stands
        # Over gloo even between GPUs: the processes exchange one number and do not wait for their devices.
        self.group = dist.new_group(backend="gloo") if ranks.world_size > 1 else None

    def resume(self) -> None:
        self.ranks.wait()
        self.ranks.barrier()
        self.resumed = time.monotonic()

    def pause(self) -> None:
        self.ranks.wait()
        self.before = self.seconds()
        self.resumed = None

    def seconds(self) -> float:
        return self.before + (time.monotonic() - self.resumed if self.resumed is not None else 0.0)

    def agreed(self) -> float:
        """Seconds so far, the same number on every rank."""
        if self.group is None:
            return self.seconds()
        reading = torch.tensor(self.seconds(), dtype=torch.float64)
        dist.broadcast(reading, src=0, group=self.group)
        return reading.item()


class Trainer:
    """What one training run holds on to between its steps."""

    def __init__(self, network: nn.Module, preset: Preset, stream: TokenStream, ranks: Ranks, log: Log) -> None:
        self.network = network
        self.preset = preset
        self.settings = preset.training
        self.stream = stream
        self.ranks = ranks
        self.log = log
        self.sequences = sequences_per_part(self.settings)
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizers = build_optimizers(network, preset.optimizer)
        self.average = WeightAverage(network, preset.averaging)
        self.clock = TrainingClock(ranks, math.inf if preset.tiny else preset.budget.training - preset.budget.reserve)
        self.loss_of: LossOf = self._loss_of

    def run(self, validate: Validate | None) -> TrainingResult:
        """Steps until they, or the time, are used up."""
        self._log_batch()
        self.network.train()
        if self.ranks.device.type == "cuda":
            self._compile()
        self.clock.resume()
        step = 0
        while True:
            elapsed = self.clock.agreed()
            out_of_time = elapsed + elapsed / max(step, 1) >= self.clock.limit  # another step would not fit
            last = out_of_time or step == self.settings.steps
            every = self.settings.validate_every
            if validate is not None and (last or (every and step and step % every == 0)):
                self._validate(validate, step)
            if last:
                break
            self._step(step, max(step / self.settings.steps, elapsed / self.clock.limit))
            step += 1
        self.clock.pause()
        if step == 0:
            raise OverBudget(f"no time for a single step: {self.clock.limit:.1f} s are left for training")
        round_weights(self.network, None)
        return self._result(step, "wallclock" if step < self.settings.steps else "steps")

    def _step(self, step: int, progress: float) -> None:
        """One optimizer step; `progress` is the part of the run that lies behind, by steps or by time."""
        self._set_phase(step, progress)
        loss = self._accumulate_gradients()
        self._update_weights(step, progress)
        done = step + 1
        logged = done == 1 or done % self.settings.log_every == 0 or done == self.settings.steps
        mean = self.ranks.sum(loss).item() if logged or self.preset.averaging.best_training_loss else None
        self.average.update(done, progress, mean)
        if logged:
            self.log(f"step:{done}/{self.settings.steps} train_loss:{mean:.4f} {self._times(done)}")

    def _set_phase(self, step: int, progress: float) -> None:
        """Repeated layers and late quantisation-aware training begin."""
        if isinstance(self.network, ChangesWithStep):
            self.network.set_step(step, self.settings.steps)
        begin = self.settings.late_qat_from
        round_weights(self.network, self.settings.late_qat_bits if begin is not None and progress >= begin else None)

    def _accumulate_gradients(self) -> Tensor:
        """Gradients of the mean loss over the global batch; returns this rank's share of that loss."""
        share = torch.zeros((), device=self.ranks.device)
        for weight in self.weights:
            weight.grad = None
        for _ in range(LARGEST_WORLD // self.ranks.world_size):
            loss = self.loss_of(*self.stream.next_batch(self.sequences, self.settings.sequence)) / LARGEST_WORLD
            loss.backward()
            share += loss.detach()
        self.ranks.add_up([weight.grad for weight in self.weights if weight.grad is not None])
        return share

    def _update_weights(self, step: int, progress: float) -> None:
        scale = learning_rate_scale(self.settings, step, progress)
        set_rates(self.optimizers, scale, muon_momentum(self.preset.optimizer, step))
        if self.preset.optimizer.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.weights, self.preset.optimizer.grad_clip)
        for optimizer in self.optimizers:
            optimizer.step()

    def _loss_of(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token of (B, T)."""
        with autocast(inputs.device):
            logits = self.network(inputs)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def _compile(self) -> None:
        """Compiles every phase that the run will go through, before its clock starts. No weight changes by it."""
        self.loss_of = torch.compile(self._loss_of, dynamic=False, fullgraph=True)
        length = self.sequences * self.settings.sequence
        tokens = torch.zeros(length + 1, dtype=torch.long, device=self.ranks.device)
        inputs, targets = tokens[:-1].view(self.sequences, -1), tokens[1:].view(self.sequences, -1)  # as the stream's
        for step, progress in ((0, 0.0), (self.settings.steps, 0.0), (self.settings.steps, 1.0)):
            self._set_phase(step, progress)
            self.loss_of(inputs, targets).backward()
        for weight in self.weights:
            weight.grad = None

    def _validate(self, validate: Validate, step: int) -> None:
        """The clock stands still meanwhile."""
        self.clock.pause()
        val_loss, val_bpb = validate()
        self.log(f"step:{step}/{self.settings.steps} val_loss:{val_loss:.4f} val_bpb:{val_bpb:.4f} {self._times(step)}")
        self.clock.resume()

    def _times(self, step: int) -> str:
        milliseconds = 1000 * self.clock.seconds()
        return f"train_time:{milliseconds:.0f}ms step_avg:{milliseconds / max(step, 1):.2f}ms"

    def _log_batch(self) -> None:
        parts = LARGEST_WORLD // self.ranks.world_size
        self.log(f"world_size:{self.ranks.world_size} grad_accum_steps:{parts}")
        self.log(f"train_batch_tokens:{self.settings.batch_tokens} train_seq_len:{self.settings.sequence}")

    def _result(self, steps: int, stopped: str) -> TrainingResult:
        seconds = self.clock.seconds()
        if stopped == "wallclock":
            self.log(
                f"stopping_early: wallclock_cap train_time:{1000 * seconds:.0f}ms step:{steps}/{self.settings.steps}"
            )
        if self.ranks.device.type == "cuda":
            allocated, reserved = torch.cuda.max_memory_allocated() >> 20, torch.cuda.max_memory_reserved() >> 20
            self.log(f"peak memory allocated: {allocated} MiB reserved: {reserved} MiB")
        return TrainingResult(self.average.state(), steps, seconds, stopped)


def sequences_per_part(settings: TrainingSettings) -> int:
    """Sequences in an eighth of a batch."""
    sequences, rest = divmod(settings.batch_tokens, LARGEST_WORLD * settings.sequence)
    if rest or not sequences:
        raise BadInput(
            f"{settings.batch_tokens} tokens are not {LARGEST_WORLD} equal parts of sequences of {settings.sequence}"
        )
    return sequences


def train(
    network: nn.Module, preset: Preset, stream: TokenStream, ranks: Ranks, log: Log, validate: Validate | None
) -> TrainingResult:
    """Trains `network` in place. Afterwards it is the network of the last step, with the last weights."""
    return Trainer(network, preset, stream, ranks, log).run(validate)
