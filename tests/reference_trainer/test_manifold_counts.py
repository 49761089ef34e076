"""Co-occurrence against plain loops."""

import math

import numpy as np
import pytest
import torch

from reference_trainer.manifold.counts import count_cooccurrence, positive_pmi, precedence, successor_entropy

VOCABULARY = 6


@pytest.fixture
def tokens() -> np.ndarray:
    return np.random.default_rng(0).integers(0, VOCABULARY - 1, 200).astype(np.uint16)  # the last never occurs


def test_counts_are_those_of_a_plain_loop(tokens: np.ndarray) -> None:
    near = np.zeros((VOCABULARY, VOCABULARY))
    adjacent = np.zeros((VOCABULARY, VOCABULARY))
    for at, first in enumerate(tokens):
        for distance, second in enumerate(tokens[at + 1 : at + 4], 1):
            near[first, second] += 1
            adjacent[first, second] += distance == 1
    counts = count_cooccurrence(tokens, VOCABULARY, 3)
    assert np.array_equal(counts.near.numpy(), near)
    assert np.array_equal(counts.adjacent.numpy(), adjacent)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_texts_shorter_than_the_window(length: int) -> None:
    counts = count_cooccurrence(np.zeros(length, np.uint16), VOCABULARY, 8)
    assert counts.near.sum() == max(0, length - 1)


def test_positive_pmi_is_its_definition(tokens: np.ndarray) -> None:
    counts = count_cooccurrence(tokens, VOCABULARY, 2).near
    table = positive_pmi(counts)
    total = float(counts.sum())
    for a in range(VOCABULARY):
        for b in range(VOCABULARY):
            joint, product = float(counts[a, b]) / total, float(counts[a].sum() * counts[:, b].sum()) / total**2
            expected = max(0.0, math.log(joint / product)) if joint else 0.0
            assert float(table[a, b]) == pytest.approx(expected, abs=1e-6)


def test_precedence_says_which_comes_first() -> None:
    counts = count_cooccurrence(np.array([0, 1] * 50 + [2, 3], np.uint16), VOCABULARY, 1).near
    order = precedence(counts)
    assert torch.equal(order, -order.T)
    assert abs(float(order[0, 1])) < 0.02  # 0 1 0 1: as often one way as the other
    assert float(order[2, 3]) == 0.5  # seen once
    assert not order[4].any()


def test_entropy_of_what_follows() -> None:
    counts = torch.tensor([[5.0, 0, 0, 0], [1, 1, 1, 1], [2, 2, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(successor_entropy(counts), torch.tensor([0.0, 1.0, 0.5, 0.0]))
