"""Row-wise integer weights: clips, rounding, pruning, the straight-through estimator of late QAT, and the plan of an export."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor

from reference_trainer.gptq import gptq

Codec = Literal["zlib", "zstd", "brotli"]
Method = Literal["round", "gptq"]
SMALLEST_SCALE = 2.0**-24  # the least positive float16: a row of zeros has it too, and needs no case of its own


@dataclass(frozen=True)
class MaxClip:
    """Each row reaches to its largest magnitude: nothing is clipped."""


@dataclass(frozen=True)
class PercentileClip:
    """Each row reaches to the one of these quantiles of its magnitudes that gives it the least squared error."""

    candidates: tuple[float, ...]  # in (0, 1]


@dataclass(frozen=True)
class DeviationClip:
    """Each row reaches to `k` of its standard deviations. A larger `k` means coarser codes, which compress better."""

    k: float


Clip = MaxClip | PercentileClip | DeviationClip


@dataclass(frozen=True)
class RowFormat:
    """Symmetric integers of 4, 5, 6 or 8 bits with one float16 scale per row."""

    bits: int
    clip: Clip

    def __post_init__(self) -> None:
        if self.bits not in (4, 5, 6, 8):
            raise ValueError(f"no format of {self.bits} bits")

    @property
    def levels(self) -> int:
        """The largest code; the smallest is its negative, so that zero is exact and no code is wasted on one side."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True, eq=False)
class Quantised:
    """A matrix as integers: weight[r, c] is about codes[r, c] * scales[r]."""

    codes: Tensor  # (rows, columns) int8
    scales: Tensor  # (rows,) float16
    bits: int

    def dequantise(self) -> Tensor:
        """(rows, columns) float32."""
        return self.codes.float() * self.scales.float()[:, None]

    def cpu(self) -> "Quantised":
        return Quantised(self.codes.cpu(), self.scales.cpu(), self.bits)


@dataclass(frozen=True)
class QuantisationPlan:
    """How a state dict becomes an artifact. Matrices that no format names are stored as float16, vectors as float32."""

    formats: tuple[tuple[str, RowFormat], ...]  # (glob of parameter names, format); the first that matches holds
    method: Method = "round"
    prune: float = 0.0  # the fraction of each quantised matrix, smallest magnitudes first, that becomes zero
    codec: Codec = "zlib"

    def __post_init__(self) -> None:
        if self.method == "gptq" and self.prune:
            raise ValueError("GPTQ moves pruned weights away from zero: a plan has one of both")

    def row_format(self, name: str) -> RowFormat | None:
        return next((row_format for glob, row_format in self.formats if fnmatchcase(name, glob)), None)


def quantise_state(
    state: Mapping[str, Tensor], plan: QuantisationPlan, hessians: Mapping[str, Tensor] | None = None
) -> dict[str, Quantised | Tensor]:
    """What the artifact holds, on the CPU. GPTQ rounds the matrices that have a Hessian, plain rounding the others."""
    hessians = hessians or {}
    if (plan.method == "gptq") != bool(hessians):
        raise ValueError(f"method {plan.method!r} with {len(hessians)} Hessians")
    if unknown := hessians.keys() - state.keys():
        raise ValueError(f"Hessians of no parameter: {', '.join(sorted(unknown))}")
    packed: dict[str, Quantised | Tensor] = {}
    for name, tensor in state.items():
        row_format = plan.row_format(name)
        try:
            if row_format is None:
                packed[name] = as_stored(tensor)
            else:
                pruned = prune_smallest(tensor, plan.prune)
                packed[name] = quantise_matrix(pruned, row_format, plan.method, hessians.get(name)).cpu()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return packed


def as_stored(tensor: Tensor) -> Tensor:
    """Matrices as float16, vectors and scalars as float32, and what is not a float as it is."""
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor
    stored = tensor.to(torch.float16 if tensor.ndim > 1 else torch.float32)
    if not stored.isfinite().all():
        raise ValueError(f"not finite as {stored.dtype}")
    return stored


def quantise_matrix(weight: Tensor, row_format: RowFormat, method: Method, hessian: Tensor | None) -> Quantised:
    match method:
        case "gptq" if hessian is not None:
            return quantise_rows_by_gptq(weight, row_format, hessian)
        case _:
            return quantise_rows(weight, row_format)


def quantise_rows(weight: Tensor, row_format: RowFormat) -> Quantised:
    """Each entry of (rows, columns) becomes the nearest code."""
    weight = checked(weight)
    scales = row_scales(weight, row_format)
    codes = round_to_codes(weight, scales.float()[:, None], row_format.levels)
    return Quantised(codes.to(torch.int8), scales, row_format.bits)


def quantise_rows_by_gptq(weight: Tensor, row_format: RowFormat, hessian: Tensor) -> Quantised:
    """The same rows and steps, but codes that GPTQ chooses for the second moment (columns, columns) of the inputs."""
    weight = checked(weight).masked_fill(hessian.diagonal() == 0, 0.0)  # inputs that are always zero need no weight
    scales = row_scales(weight, row_format)
    codes = gptq(weight, hessian, scales, row_format.levels)
    return Quantised(codes.to(torch.int8), scales, row_format.bits)


def checked(weight: Tensor) -> Tensor:
    if weight.ndim != 2 or not weight.numel():
        raise ValueError(f"not a matrix: {tuple(weight.shape)}")
    if not weight.isfinite().all():
        raise ValueError("not finite")
    return weight.detach().float()


def row_scales(weight: Tensor, row_format: RowFormat) -> Tensor:
    """(rows, columns) -> (rows,) float16: the step between two codes of each row."""
    match row_format.clip:
        case MaxClip():
            scales = reach_to_scales(weight.abs().amax(dim=1), row_format.levels)
        case DeviationClip(k):
            deviation = weight.std(dim=1, correction=0)  # zero for one column, and for equal ones
            reach = torch.where(deviation > 0, k * deviation, weight.abs().amax(dim=1))
            scales = reach_to_scales(reach, row_format.levels)
        case PercentileClip(candidates):
            scales = least_error_scales(weight, candidates, row_format.levels)
    if not scales.isfinite().all():
        raise ValueError("scale too large for float16")
    return scales


def least_error_scales(weight: Tensor, quantiles: tuple[float, ...], levels: int) -> Tensor:
    """(rows,) float16: for each row the scale, of one per quantile, that rounds it with the least squared error."""
    ascending = weight.abs().sort(dim=1).values
    candidates = torch.stack([reach_to_scales(row_quantiles(ascending, q), levels) for q in quantiles])
    errors = []  # one (rows,) for each quantile
    for scales in candidates.float():
        rounded = round_to_codes(weight, scales[:, None], levels) * scales[:, None]
        errors.append((rounded - weight).square().sum(dim=1))
    best = torch.stack(errors).argmin(dim=0)  # the first of equals
    return candidates.gather(0, best[None])[0]


def row_quantiles(ascending: Tensor, q: float) -> Tensor:
    """Quantile of each sorted row, linear between its neighbours; `torch.quantile` refuses matrices of this size."""
    position = q * (ascending.shape[1] - 1)
    below, above = ascending[:, int(position)], ascending[:, math.ceil(position)]
    return torch.lerp(below, above, position - int(position))


def reach_to_scales(reach: Tensor, levels: int) -> Tensor:
    """(rows,) float16 steps of rows whose largest code stands for `reach`."""
    return (reach / levels).clamp_min(SMALLEST_SCALE).half()


def round_to_codes(weight: Tensor, scales: Tensor, levels: int) -> Tensor:
    """Nearest integer codes, still as floats. `scales` are those that are stored, so the rounding knows their error."""
    return (weight / scales).round().clamp(-levels, levels)


def fake_quantise(weight: Tensor, bits: int) -> Tensor:
    """(rows, columns) as it reads after rounding, with the gradient of the identity (Bengio et al. 2013)."""
    levels = RowFormat(bits, MaxClip()).levels
    with torch.no_grad():
        scales = reach_to_scales(weight.abs().amax(dim=1), levels).float()[:, None]
        rounded = round_to_codes(weight, scales, levels) * scales
    return rounded + (weight - weight.detach())  # the bracket is exactly zero


def prune_smallest(weight: Tensor, fraction: float) -> Tensor:
    """A copy in which this fraction of the entries, smallest magnitudes first, is zero."""
    count = int(fraction * weight.numel())
    if not count:
        return weight.clone()  # spares the sort
    smallest = weight.abs().flatten().argsort(stable=True)[:count]
    return weight.flatten().index_fill(0, smallest, 0.0).view_as(weight)
