"""From training tokens to the frozen manifold: counts, physics, spectrum."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reference_trainer.manifold.counts import count_cooccurrence, positive_pmi
from reference_trainer.manifold.physics import TETHER, Landscape, build_landscape, settle
from reference_trainer.manifold.settings import ManifoldSettings


@dataclass(frozen=True, eq=False)
class Manifold:
    """What the network sees of the manifold. It is not trained further, and is part of the artifact."""

    spectrum: Tensor  # (vocabulary, spectral dimensions) float32


def build_manifold(settings: ManifoldSettings, tokens: NDArray[np.uint16]) -> Manifold:
    """From training tokens (n,), on one thread of the CPU: the same tokens give the same bits, in every rank."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # matrices of this size gain little from more
    try:
        counts = count_cooccurrence(tokens[: settings.counted_tokens], settings.vocabulary, settings.window)
        landscape = build_landscape(counts, settings)
        modes = normal_modes(landscape, settle(landscape, settings), settings.modes)
        topics = singular_coordinates(positive_pmi(counts.near), settings.svd_coordinates)
    finally:
        torch.set_num_threads(threads)
    return Manifold(torch.cat([modes, topics], dim=1).float())


def normal_modes(landscape: Landscape, positions: Tensor, count: int) -> Tensor:
    """(n, count): how far each token swings in the softest vibrations about `positions`, all of the same energy.

    H v = w^2 M v, by ascending w^2. The amplitude of a mode is 1 / w.
    """
    scale = landscape.mass.rsqrt()
    weighted = (landscape.hessian(positions) * scale[:, None] * scale[None, :]).double()
    values, vectors = torch.linalg.eigh(weighted)
    softest = TETHER / 2  # of all modes there can be at rest, as no mass is above 2
    return standardised(vectors[:, :count] * scale[:, None] * values[:count].clamp_min(softest).rsqrt())


def singular_coordinates(matrix: Tensor, count: int) -> Tensor:
    """(n, count) left singular vectors, each times the root of its singular value."""
    left, values, _ = torch.linalg.svd(matrix.double())
    return standardised(left[:, :count] * values[:count].sqrt())


def standardised(coordinates: Tensor) -> Tensor:
    """Of mean square one; each column with the sign that makes its largest entry positive, as a solver's sign is free."""
    largest = coordinates.gather(0, coordinates.abs().argmax(dim=0)[None])
    return coordinates * largest.sign() / coordinates.square().mean().sqrt().clamp_min(1e-12)
