"""Bits per byte of the validation text, every token of it scored exactly once.

Position i reads token i and predicts token i + 1. Nats, tokens and bytes are summed side by side over the same positions.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.autocast import autocast
from reference_trainer.data import ValidationText
from reference_trainer.distributed import Ranks
from reference_trainer.preset import EvaluationSettings


@dataclass(frozen=True)
class Window:
    """The network reads positions start..stop-1; those from `first` on are scored."""

    start: int
    first: int
    stop: int


def windows(first: int, last: int, sequence: int, stride: int) -> Iterator[Window]:
    """Covers positions first..last-1, `stride` at a time, each with as much context as `sequence` leaves.

    A stride of `sequence` scores whole windows side by side. The last window ends with the text: it scores what is left.
    """
    while first < last:
        stop = min(max(first + stride, sequence), last)
        yield Window(max(stop - sequence, 0), first, stop)
        first = stop


@dataclass(frozen=True)
class Score:
    nats: float
    tokens: float
    bytes: float

    @property
    def val_loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def val_bpb(self) -> float:
        """Bits per byte."""
        return self.nats / math.log(2.0) / self.bytes


def score_text(network: nn.Module, text: ValidationText, settings: EvaluationSettings, ranks: Ranks) -> Score:
    """The whole validation text under fixed weights."""
    nats, tokens, counted = score_positions(network, text, 0, len(text.tokens) - 1, settings, ranks).tolist()
    return Score(nats, tokens, counted)


def score_positions(
    network: nn.Module, text: ValidationText, first: int, last: int, settings: EvaluationSettings, ranks: Ranks
) -> Tensor:
    """Nats, tokens and bytes, (3,) float64, summed over positions first..last-1.

    Each batch of windows has a row of its own, so that the sum over ranks adds zeros to it: the result is the same,
    bit for bit, for any number of ranks.
    """
    stride = settings.stride or settings.sequence
    covering = list(windows(first, last, settings.sequence, stride))
    batches = [covering[i : i + settings.batch_windows] for i in range(0, len(covering), settings.batch_windows)]
    sums = torch.zeros(len(batches), 3, dtype=torch.float64, device=ranks.device)
    training = network.training
    network.eval()
    with torch.inference_mode():
        for number in range(ranks.rank, len(batches), ranks.world_size):
            sums[number] = score_batch(network, text, batches[number], ranks.device)
    network.train(training)
    return ranks.sum(sums).sum(dim=0)


def score_batch(network: nn.Module, text: ValidationText, batch: Sequence[Window], device: torch.device) -> Tensor:
    """Nats, tokens and bytes, (3,) float64, of windows of one length L."""
    rows = torch.stack([text.tokens[window.start : window.stop + 1] for window in batch]).to(device)  # (B, L + 1)
    sizes = torch.stack([text.bytes[window.start + 1 : window.stop + 1] for window in batch]).to(device)  # (B, L)
    inputs, targets = rows[:, :-1], rows[:, 1:]
    scored = torch.stack([torch.arange(window.start, window.stop) >= window.first for window in batch]).to(device)
    with autocast(device):
        logits = network(inputs)  # (B, L, V)
    nats = F.cross_entropy(logits[scored].float(), targets[scored], reduction="none")
    return torch.stack([nats.double().sum(), scored.double().sum(), sizes[scored].double().sum()])
