"""Averages of the weights over training, which are exported in place of the last ones."""

import math

import torch
from torch import Tensor, nn

from reference_trainer.preset import Averaging

SMOOTHING = 0.98  # of the training loss: about its mean over 50 steps


class ExponentialAverage:
    """EMA: average <- d average + (1 - d) weights, from the first weights on (Polyak & Juditsky 1992).

    d is `decay`, but less at first, (1 + n) / (10 + n) after n updates: the first weights are forgotten in a short run too.
    """

    def __init__(self, weights: list[Tensor], decay: float) -> None:
        self.average = [weight.detach().clone() for weight in weights]
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, weights: list[Tensor]) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.average, weights, 1.0 - decay)


class EqualAverage:
    """SWA: the plain mean of all weights that were added (Izmailov et al. 2018)."""

    def __init__(self, weights: list[Tensor]) -> None:
        self.average = [torch.zeros_like(weight) for weight in weights]
        self.count = 0

    @torch.no_grad()
    def add(self, weights: list[Tensor]) -> None:
        self.count += 1
        torch._foreach_lerp_(self.average, weights, 1.0 / self.count)


class WeightAverage:
    """Follows the weights of a network as `Averaging` says, and has the weights to export."""

    def __init__(self, network: nn.Module, settings: Averaging) -> None:
        self.network = network
        self.settings = settings
        weights = self._current()
        self.ema = ExponentialAverage(weights, settings.ema_decay) if settings.ema_decay is not None else None
        self.swa = EqualAverage(weights) if settings.swa_from is not None else None
        self.best = [weight.clone() for weight in weights] if settings.best_training_loss else None
        self.smoothed_loss = self.least_loss = math.inf

    def update(self, steps: int, progress: float, loss: float | None) -> None:
        """After each step: `steps` done, the part of the run that they are, the training loss where one is needed."""
        if self.ema is not None:
            self.ema.update(self._current())
        if self.best is not None and loss is not None:
            self._keep_best(self.best, loss)
        if self.swa is not None and self._samples(steps, progress):
            self.swa.add(self._averaged())

    def state(self) -> dict[str, Tensor]:
        """The whole state dict, with averages in place of the weights that have them."""
        exported = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        names = [name for name, _ in self.network.named_parameters()]
        exported.update((name, tensor.clone()) for name, tensor in zip(names, self._chosen(), strict=True))
        return exported

    def _current(self) -> list[Tensor]:
        return [weight.detach() for weight in self.network.parameters()]

    def _averaged(self) -> list[Tensor]:
        return self.ema.average if self.ema is not None else self._current()

    def _chosen(self) -> list[Tensor]:
        if self.swa is not None and self.swa.count:
            return self.swa.average
        return self._averaged() if self.best is None else self.best

    def _samples(self, steps: int, progress: float) -> bool:
        start = self.settings.swa_from
        return start is not None and progress >= start and steps % self.settings.swa_every == 0

    def _keep_best(self, best: list[Tensor], loss: float) -> None:
        """Where the smoothed training loss is the least so far, the averaged weights are kept."""
        first = math.isinf(self.smoothed_loss)
        self.smoothed_loss = loss if first else SMOOTHING * self.smoothed_loss + (1.0 - SMOOTHING) * loss
        if self.smoothed_loss < self.least_loss:
            self.least_loss = self.smoothed_loss
            torch._foreach_copy_(best, self._averaged())
