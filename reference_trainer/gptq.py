"""GPTQ: rounding of a weight matrix that makes up for each rounding error in the columns still to come.

Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers" (2022). The Hessians must come from training tokens: a calibration is training.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from reference_trainer.autocast import autocast

BLOCK = 128  # columns whose errors are kept back and applied to the rest of the matrix in one product
DAMPING = 0.01  # of the mean of the Hessian's diagonal, added to the diagonal


def gptq(weight: Tensor, hessian: Tensor, scales: Tensor, levels: int) -> Tensor:
    """Codes (rows, columns), as floats, that nearly minimise tr((W - Q) H (W - Q)^T) for the steps `scales` (rows,).

    Columns are rounded one after the other, those with the largest inputs first. The error of each is spread over the
    unrounded ones so that the output changes least; how is in the rows of the Cholesky factor of the inverse Hessian.
    """
    order = hessian.diagonal().argsort(descending=True, stable=True)
    inverse = inverse_factor(hessian[order][:, order])  # (columns, columns), upper triangular
    rest = weight.double()[:, order]
    scales = scales.double()
    codes = torch.empty_like(rest)
    for start in range(0, rest.shape[1], BLOCK):
        block = slice(start, min(start + BLOCK, rest.shape[1]))
        codes[:, block], errors = round_block(rest[:, block], inverse[block, block], scales, levels)
        rest[:, block.stop :] -= errors @ inverse[block, block.stop :]
    return codes[:, order.argsort()]


def round_block(weight: Tensor, inverse: Tensor, scales: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Codes of a block of columns and their scaled errors, both (rows, columns of the block)."""
    rest, codes, errors = weight.clone(), torch.empty_like(weight), torch.empty_like(weight)
    for column in range(rest.shape[1]):
        codes[:, column] = (rest[:, column] / scales).round().clamp(-levels, levels)
        errors[:, column] = (rest[:, column] - codes[:, column] * scales) / inverse[column, column]
        rest[:, column:] -= errors[:, column, None] * inverse[column, column:]
    return codes, errors


def inverse_factor(hessian: Tensor) -> Tensor:
    """Upper triangular U with U^T U = H^-1, in float64, for the damped Hessian."""
    hessian = hessian.double()
    diagonal = hessian.diagonal()
    dead = (diagonal == 0).double()  # their weights are zero, and any positive value keeps H invertible
    damped = hessian + torch.diag(dead + DAMPING * diagonal.mean())
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return factor


@torch.no_grad()
def collect_hessians(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Second moment (in, in) of the inputs of every linear layer, by the name of its weight, over batches (B, T).

    The forward pass is that of training, in bfloat16 on a GPU; the second moments are float32. A layer that runs more than
    once per pass (recurrence, shared weights) sees the inputs of all its runs.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str, layer: nn.Linear) -> torch.utils.hooks.RemovableHandle:
        sums[name] = layer.weight.new_zeros(layer.in_features, layer.in_features, dtype=torch.float32)
        counts[name] = 0

        def add(_layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            inputs = arguments[0].flatten(0, -2).float()  # (tokens, in)
            sums[name].addmm_(inputs.T, inputs)  # in place: autocast leaves it in float32
            counts[name] += inputs.shape[0]

        return layer.register_forward_pre_hook(add)

    linears = {f"{name}.weight": module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    handles = [watch(name, layer) for name, layer in linears.items()]
    try:
        for tokens in batches:
            with autocast(tokens.device):
                network(tokens)
    finally:
        for handle in handles:
            handle.remove()
    return {name: sums[name] / counts[name] for name in sums if counts[name]}
