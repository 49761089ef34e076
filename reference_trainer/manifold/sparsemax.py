"""Sparsemax: the point of the simplex that is nearest to the scores (Martins and Astudillo 2016)."""

import torch
from torch import Tensor


def sparsemax(scores: Tensor, allowed: Tensor) -> Tensor:
    """(..., n) float scores -> (..., n) weights that sum to one, most of them exactly zero.

    Only entries that `allowed` (broadcast) marks take part; a row without any is all zeros. The gradient follows from the
    forward pass: the support is piecewise constant, and on it the weights are scores minus their common threshold.
    """
    top = scores.masked_fill(~allowed, -torch.inf).amax(dim=-1, keepdim=True).detach()
    shifted = scores - torch.where(top.isfinite(), top, 0.0)
    shifted = shifted.masked_fill(~allowed, -2.0)  # the threshold is at least -1, so these get nothing
    support = (shifted > threshold(shifted.detach())) & allowed
    held = shifted.masked_fill(~support, 0.0)
    size = support.sum(dim=-1, keepdim=True).clamp_min(1)
    return (held - (held.sum(dim=-1, keepdim=True) - 1) / size).masked_fill(~support, 0.0)


def threshold(scores: Tensor) -> Tensor:
    """(..., n) -> (..., 1): t with sum(max(0, scores - t)) = 1."""
    descending = scores.sort(dim=-1, descending=True).values
    excess = descending.cumsum(dim=-1) - 1
    rank = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    size = (rank * descending > excess).sum(dim=-1, keepdim=True)  # of the support, at least 1
    return excess.gather(-1, size - 1) / size
