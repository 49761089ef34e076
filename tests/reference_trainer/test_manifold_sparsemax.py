"""Sparsemax against its definition: the nearest point of the simplex."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from reference_trainer.manifold.sparsemax import sparsemax

scores = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=1, max_side=7), elements=st.floats(-4, 4))


def everywhere(z: Tensor) -> Tensor:
    return torch.ones_like(z, dtype=torch.bool)


def nearest_by_enumeration(z: Tensor) -> Tensor:
    """Of the projections onto all faces of the simplex, those inside it; the nearest of them."""
    best, least = torch.zeros_like(z), float("inf")
    for size in range(1, len(z) + 1):
        for face in itertools.combinations(range(len(z)), size):
            point = torch.zeros_like(z)
            point[list(face)] = z[list(face)] - (z[list(face)].sum() - 1) / size
            distance = float((point - z).square().sum())
            if bool((point >= 0).all()) and distance < least:
                best, least = point, distance
    return best


@given(scores)
@settings(max_examples=200)
def test_it_is_the_nearest_point_of_the_simplex(array: np.ndarray) -> None:
    z = torch.from_numpy(array)
    torch.testing.assert_close(sparsemax(z, everywhere(z)), nearest_by_enumeration(z))


@given(hnp.arrays(np.float64, (5, 9), elements=st.floats(-50, 50)))
@settings(max_examples=200)
def test_its_optimality_conditions_hold(array: np.ndarray) -> None:
    """Karush-Kuhn-Tucker: z - p is one threshold on the support, and at most that elsewhere."""
    z = torch.from_numpy(array)
    p = sparsemax(z, everywhere(z))
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(dim=-1), torch.ones(5).double())
    for row, weights in zip(z, p, strict=True):
        gap = row - weights
        threshold = gap[weights > 0].mean()
        torch.testing.assert_close(gap[weights > 0], threshold.expand(int((weights > 0).sum())))
        assert (gap[weights == 0] <= threshold + 1e-9).all()


def test_its_gradient() -> None:
    z = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    allowed = torch.rand(6, 8) < 0.7
    allowed[2] = False
    assert torch.autograd.gradcheck(lambda scores: sparsemax(scores, allowed), (z,))
    upstream = torch.randn(6, 8, dtype=torch.float64)
    p = sparsemax(z, allowed)
    p.backward(upstream)
    support = p > 0
    mean = (upstream * support).sum(dim=-1, keepdim=True) / support.sum(dim=-1, keepdim=True).clamp_min(1)
    assert z.grad is not None
    torch.testing.assert_close(z.grad, torch.where(support, upstream - mean, 0.0))


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
def test_masked_entries_neither_take_part_nor_matter(scale: float) -> None:
    z = torch.randn(4, 6)
    allowed = torch.ones(6, 6, dtype=torch.bool).tril(-1)[:4]  # the first row is fully masked
    weights = sparsemax(z, allowed)
    assert not weights[~allowed].any()
    torch.testing.assert_close(weights.sum(dim=-1), torch.tensor([0.0, 1, 1, 1]))
    other = torch.where(allowed, z, torch.randn(4, 6) * scale)
    assert torch.equal(sparsemax(other, allowed), weights)
    for row in range(1, 4):
        torch.testing.assert_close(weights[row, :row], sparsemax(z[row, :row], everywhere(z[row, :row])))


def test_a_fully_masked_row_has_no_gradient_and_no_nan() -> None:
    z = torch.randn(2, 3, requires_grad=True)
    sparsemax(z, torch.tensor([[False] * 3, [True] * 3])).square().sum().backward()
    assert z.grad is not None
    assert not z.grad[0].any()
    assert z.grad.isfinite().all()


def test_equal_scores_share_and_a_clear_winner_takes_all() -> None:
    z = torch.tensor([[1.0, 1.0, 1.0, 1.0], [5.0, 3.9, 0.0, -9.0]])
    assert sparsemax(z, everywhere(z)).tolist() == [[0.25] * 4, [1.0, 0.0, 0.0, 0.0]]
