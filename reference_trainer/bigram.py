"""Bigrams: an exact table of counts that speaks in the logits, and a hashed embedding of the last two tokens."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.layers import Dense
from reference_trainer.quantisation import fake_quantise

COUNT_BITS = 4  # of each entry of the count table
PAIRS_AT_ONCE = 1 << 24  # counted together: bounds the memory of a long token array
MULTIPLIER = 2_654_435_761  # 2^32 divided by the golden ratio (Knuth, vol. 3, 6.4)


def count_bigrams(tokens: npt.NDArray[np.uint16], vocabulary: int) -> Tensor:
    """(V, V) int64: how often token b stands right behind token a."""
    counts = np.zeros(vocabulary * vocabulary, dtype=np.int64)
    for start in range(0, len(tokens) - 1, PAIRS_AT_ONCE):
        part = tokens[start : start + PAIRS_AT_ONCE + 1].astype(np.int64)
        counts += np.bincount(part[:-1] * vocabulary + part[1:], minlength=len(counts))
    return torch.from_numpy(counts).view(vocabulary, vocabulary)


def log_lift(counts: Tensor) -> Tensor:
    """How much more likely b is behind a than anywhere: log p(b|a) - log p(b) from counts (V, V).

    p(b|a) has a Dirichlet prior of V pseudo-tokens that are distributed as p(b) (MacKay & Peto 1995), and p(b) one
    pseudo-token for each b: a context that was never seen says nothing, and no entry is infinite.
    """
    counts = counts.double()
    vocabulary = len(counts)
    unigram = (counts.sum(0) + 1) / (counts.sum() + vocabulary)
    conditional = (counts + vocabulary * unigram) / (counts.sum(1, keepdim=True) + vocabulary)
    return (conditional.log() - unigram.log()).float()


class CountBigram(nn.Module):
    """Adds row a of a (V, V) table to the logits that follow token a. The table begins at the counts and is trained.

    It is rounded to int4 in every forward pass, as it is at export: rounding alone then changes nothing. What the artifact
    holds still differs from the last table of training where weights are averaged or pruned before they are rounded.
    """

    def __init__(self, vocabulary: int, counts: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocabulary, vocabulary) if counts is None else log_lift(counts))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        return F.embedding(tokens, fake_quantise(self.weight, COUNT_BITS))


class HashedBigram(nn.Module):
    """An embedding of (previous token, token) in a table with fewer rows than there are pairs.

    The table begins at zero, so a pair that training never shows adds nothing.
    """

    def __init__(self, vocabulary: int, rows: int, table_width: int, width: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.table = nn.Embedding(rows, table_width)
        self.projection = Dense(table_width, width)
        nn.init.zeros_(self.table.weight)

    def rows_of(self, previous: Tensor, current: Tensor) -> Tensor:
        """Multiplicative hashing: the upper part of a 32-bit product, scaled to the number of rows."""
        product = (previous * self.vocabulary + current) * MULTIPLIER & 0xFFFF_FFFF
        return product * self.table.num_embeddings >> 32

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, W). The first token of a sequence has no previous one and gets zeros."""
        pairs = self.projection(self.table(self.rows_of(tokens[:, :-1], tokens[:, 1:])))
        return F.pad(pairs, (0, 0, 1, 0))
