"""What the corpus says of its tokens: which stand near each other, which side by side, and what follows what."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Cooccurrence:
    """Counts over the training tokens, (vocabulary, vocabulary) float64: row a, column b for a before b."""

    near: Tensor  # b follows a within the window
    adjacent: Tensor  # b follows a at once


def count_cooccurrence(tokens: NDArray[np.uint16], vocabulary: int, window: int) -> Cooccurrence:
    """Of (n,) training tokens below `vocabulary`: the manifold is shipped with the weights, and is trained as they are."""
    by_distance = [count_pairs(tokens, vocabulary, distance) for distance in range(1, window + 1)]
    return Cooccurrence(near=torch.stack(by_distance).sum(dim=0), adjacent=by_distance[0])


def count_pairs(tokens: NDArray[np.uint16], vocabulary: int, distance: int) -> Tensor:
    pairs = tokens[:-distance].astype(np.int64) * vocabulary + tokens[distance:]
    return torch.from_numpy(np.bincount(pairs, minlength=vocabulary**2)).double().view(vocabulary, vocabulary)


def positive_pmi(counts: Tensor) -> Tensor:
    """max(0, log p(a, b) / (p(a) p(b))), zero where nothing was counted (Levy and Goldberg 2014)."""
    expected = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0, keepdim=True) / counts.sum().clamp_min(1)
    return torch.where(counts > 0, counts / expected, 1.0).log().clamp_min(0).float()


def precedence(counts: Tensor) -> Tensor:
    """Antisymmetric, in (-1, 1): near 1 where a comes before b, near 0 where the order is free or little was seen."""
    return ((counts - counts.T) / (counts + counts.T + 1)).float()


def successor_entropy(counts: Tensor) -> Tensor:
    """(vocabulary,) in [0, 1]: entropy of what follows each token, as a part of the largest there can be."""
    share = counts / counts.sum(dim=1, keepdim=True).clamp_min(1)
    entropy: Tensor = torch.special.entr(share).sum(dim=1).float()
    return entropy / math.log(len(counts))
