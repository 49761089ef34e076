"""Small causal networks, each with one property that a test needs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Averaging(nn.Module):
    """Sees its whole context: the mean of all embeddings so far."""

    def __init__(self, vocabulary: int, width: int = 16, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(vocabulary, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        counts = torch.arange(1, tokens.size(1) + 1)[:, None]
        logits: Tensor = self.head(x.cumsum(1) / counts)
        return logits


class Local(nn.Module):
    """Sees `reach` tokens: the one that it reads and those right before it."""

    def __init__(self, vocabulary: int, reach: int, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.reach = reach
        self.embedding = nn.Embedding(vocabulary, 8)
        self.mix = nn.Conv1d(8, vocabulary, reach)

    def forward(self, tokens: Tensor) -> Tensor:
        x = F.pad(self.embedding(tokens).transpose(1, 2), (self.reach - 1, 0))
        return self.mix(x).transpose(1, 2)  # type: ignore[no-any-return] # (B, T, V)
