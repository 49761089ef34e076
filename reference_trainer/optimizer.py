"""Muon for linear layers, Adam for everything else, and schedules as pure functions of step and progress."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from reference_trainer.preset import OptimizerSettings, TrainingSettings

QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan et al. 2024: steepest at zero among those that stay near one
NEWTON_SCHULZ_STEPS = 5


def orthogonalise(matrices: Tensor) -> Tensor:
    """(..., rows, columns) -> about U V^T of each U S V^T: most singular values come to between 0.7 and 1.2.

    Those below about a thousandth of the matrix's norm stay smaller: five steps are too few for them.

    Newton-Schulz iteration of X <- a X + b (X X^T) X + c (X X^T)^2 X, as in Muon (Jordan et al. 2024). It works on the
    smaller of both Gram matrices, in bfloat16 on GPUs.
    """
    a, b, c = QUINTIC
    tall = matrices.size(-2) > matrices.size(-1)
    x: Tensor = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)  # the largest singular value is at most one
    x = x.bfloat16() if x.is_cuda else x
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram: Tensor = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).type_as(matrices)


class Muon(Optimizer):
    """Momentum, orthogonalised, with decoupled weight decay (Jordan et al. 2024).

    All parameters are matrices. Those of one shape are orthogonalised together, in one batch.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(weight.shape, []).append(weight)
            for (rows, columns), weights in by_shape.items():
                ahead = torch.stack([self._nesterov(weight, group["momentum"]) for weight in weights])
                # A tall matrix gets a larger step, so that its outputs change as much as those of a square one.
                size = group["lr"] * max(1.0, rows / columns) ** 0.5
                for weight, direction in zip(weights, orthogonalise(ahead), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-size)

    def _nesterov(self, weight: Tensor, momentum: float) -> Tensor:
        """The momentum buffer takes the gradient; what comes back looks one step ahead of it."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum"]
        buffer.mul_(momentum).add_(weight.grad)
        return weight.grad.add(buffer, alpha=momentum)


def build_optimizers(network: nn.Module, settings: OptimizerSettings) -> list[Optimizer]:
    """Muon for the weights of linear layers; Adam (Kingma & Ba 2015) for embeddings, count bigram, vectors and scalars."""
    matrices = [module.weight for module in network.modules() if isinstance(module, nn.Linear)]
    embeddings = [module.weight for module in network.modules() if isinstance(module, nn.Embedding)]
    bigrams = [weight for name, weight in network.named_parameters() if name.startswith("count_bigram.")]
    taken = {id(weight) for weight in (*matrices, *embeddings, *bigrams)}
    others = [weight for weight in network.parameters() if id(weight) not in taken]
    rates = ((embeddings, settings.embedding_lr), (bigrams, settings.bigram_lr), (others, settings.scalar_lr))
    groups = [{"params": weights, "lr": rate} for weights, rate in rates if weights]
    optimizers: list[Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, settings.muon_lr, settings.muon_momentum, settings.muon_weight_decay))
    if groups:
        optimizers.append(Adam(groups, betas=settings.adam_betas, fused=next(network.parameters()).is_cuda))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return optimizers


def set_rates(optimizers: Sequence[Optimizer], scale: float, momentum: float) -> None:
    """Every learning rate becomes `scale` times its full value; `momentum` is Muon's."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = scale * group["full_lr"]
            if isinstance(optimizer, Muon):
                group["momentum"] = momentum


# Schedules


def learning_rate_scale(settings: TrainingSettings, step: int, progress: float) -> float:
    """The learning rate of a step over its full value. `progress` is the part of the run that lies behind, 0..1."""
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    match settings.schedule:
        case "linear_warmdown":
            return warmup * linear_warmdown(settings, progress)
        case "cosine_hold_linear":
            return warmup * cosine_hold_linear(settings, step)


def linear_warmdown(settings: TrainingSettings, progress: float) -> float:
    """1, then a straight line to `final_lr`, then a plateau."""
    end = 1.0 - settings.plateau
    if progress >= end:
        return settings.final_lr
    left = min(1.0, (end - progress) / settings.warmdown) if settings.warmdown else 1.0
    return settings.final_lr + (1.0 - settings.final_lr) * left


def cosine_hold_linear(settings: TrainingSettings, step: int) -> float:
    """Half a cosine from 1 to `hold_lr` until `cosine_until`, flat until `hold_until`, a straight line to `final_lr`."""
    if step < settings.cosine_until:
        fallen = (1.0 - math.cos(math.pi * step / settings.cosine_until)) / 2
        return 1.0 - (1.0 - settings.hold_lr) * fallen
    if step < settings.hold_until:
        return settings.hold_lr
    gone = min(1.0, (step - settings.hold_until) / max(1, settings.steps - settings.hold_until))
    return settings.hold_lr + (settings.final_lr - settings.hold_lr) * gone


def muon_momentum(settings: OptimizerSettings, step: int) -> float:
    """Rises in a straight line: early gradients are forgotten sooner."""
    risen = min(1.0, step / settings.muon_momentum_warmup) if settings.muon_momentum_warmup else 1.0
    return settings.muon_momentum_start + (settings.muon_momentum - settings.muon_momentum_start) * risen
