"""A causal network over the token manifold: one hop of message passing, attention and MLP, applied several times.

A token's place on the manifold depends on nothing but the token, so the geometry of a sequence is known wherever its
tokens are. What keeps the network causal are the masks: messages come from strictly earlier positions, so the first
position receives none, and attention sees earlier positions and its own.

Shapes: B sequences, T tokens, W width, H heads, D width of a head, V vocabulary, S spectral dimensions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.layers import Dense, Rotary, relu_squared, rms_norm, rotary_table, rotate
from reference_trainer.manifold.build import Manifold
from reference_trainer.manifold.settings import ManifoldSettings
from reference_trainer.manifold.sparsemax import sparsemax


@dataclass(frozen=True, eq=False)
class Geometry:
    """How the tokens of a sequence lie to each other. Each head sees them as points of a unit sphere of its own."""

    points: Tensor  # (B, H, T, D)
    cosines: Tensor  # (B, H, T, T)
    rotary: Rotary

    def transport(self, weights: Tensor, messages: Tensor) -> Tensor:
        """Sum of the messages (B, H, T, D), carried to their receivers along great circles: weights (B, H, T, T).

        Parallel transport of a tangent vector m from p to q on the sphere is m - (q.m) / (1 + p.q) (p + q). It keeps
        lengths and angles. Summed over all senders it needs two products with a (T, T) matrix, and no (T, T, D) tensor.
        """
        tangent = messages - (messages * self.points).sum(dim=-1, keepdim=True) * self.points
        # Opposite points have no one great circle, and a divisor of zero without the clamp.
        along = self.points @ tangent.mT / (1 + self.cosines).clamp_min(1e-3)
        bent = weights * along
        return weights @ tangent - bent @ self.points - bent.sum(dim=-1, keepdim=True) * self.points


class MessagePassing(nn.Module):
    """Each position takes messages from a few earlier ones, chosen by sparsemax, and a gate decides what it keeps."""

    def __init__(self, settings: ManifoldSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.query = Dense(settings.width, settings.width)
        self.key = Dense(settings.width, settings.width)
        self.message = Dense(settings.width, settings.width)
        self.gate = Dense(settings.width, settings.width)
        self.output = Dense(settings.width, settings.width, zero=True)
        self.gain = nn.Parameter(torch.full((settings.heads, 1, 1), 4.0))
        self.guide = nn.Parameter(torch.ones(settings.heads, 1, 1))

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """(B, T, W) -> (B, T, W)."""
        scores = route(self.query(x), self.key(x), self.heads, geometry.rotary)  # (B, H, T, T)
        scores = self.gain * scores + self.guide * geometry.cosines
        weights = sparsemax(scores, earlier(x.size(1), x.device))
        received = geometry.transport(weights, split_heads(self.message(x), self.heads))
        update: Tensor = self.output(torch.sigmoid(self.gate(x)) * merge_heads(received))
        return update


class GuidedAttention(nn.Module):
    """Softmax attention whose logits are drawn to tokens that lie near on the manifold."""

    def __init__(self, settings: ManifoldSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.query = Dense(settings.width, settings.width)
        self.key = Dense(settings.width, settings.width)
        self.value = Dense(settings.width, settings.width)
        self.output = Dense(settings.width, settings.width, zero=True)
        self.gain = nn.Parameter(torch.full((settings.heads, 1, 1), 12.0))
        self.guide = nn.Parameter(torch.ones(settings.heads, 1, 1))

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """(B, T, W) -> (B, T, W)."""
        scores = route(self.query(x), self.key(x), self.heads, geometry.rotary)  # (B, H, T, T)
        scores = self.gain * scores + self.guide * geometry.cosines
        hidden = ~(earlier(x.size(1), x.device) | torch.eye(x.size(1), dtype=torch.bool, device=x.device))
        weights = scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)
        update: Tensor = self.output(merge_heads(weights @ split_heads(self.value(x), self.heads)))
        return update


class Hop(nn.Module):
    def __init__(self, settings: ManifoldSettings) -> None:
        super().__init__()
        self.messages = MessagePassing(settings)
        self.attention = GuidedAttention(settings)
        self.up = Dense(settings.width, settings.mlp_width)
        self.down = Dense(settings.mlp_width, settings.width, zero=True)

    def forward(self, x: Tensor, geometry: Geometry, gains: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, W); `gains` (3, W) are all that a hop has to itself."""
        x = x + self.messages(rms_norm(x) * gains[0], geometry)
        x = x + self.attention(rms_norm(x) * gains[1], geometry)
        expanded = relu_squared(self.up(rms_norm(x) * gains[2]))
        return x.add(self.down(expanded))


class ManifoldNetwork(nn.Module):
    """A token is what was learned of it plus its place on the manifold, where it is read and where it is predicted."""

    spectrum: Tensor  # (V, S), frozen

    def __init__(self, settings: ManifoldSettings, manifold: Manifold) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("spectrum", manifold.spectrum)
        self.embedding = nn.Embedding(settings.vocabulary, settings.width)
        self.place = Dense(settings.spectral_dimensions, settings.width)
        self.points = Dense(settings.spectral_dimensions, settings.width)
        self.hop = Hop(settings)
        self.gains = nn.Parameter(torch.ones(settings.hops, 3, settings.width))
        # Small, because these vectors are the logits' weights too: the first predictions are nearly uniform.
        nn.init.normal_(self.embedding.weight, std=0.005)
        nn.init.normal_(self.place.weight, std=0.01 * settings.spectral_dimensions**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (B, T) -> logits (B, T, V) float32."""
        vectors = self.embedding.weight + self.place(self.spectrum)  # (V, W)
        geometry = self._geometry(tokens)
        x = rms_norm(F.embedding(tokens, vectors))
        for gains in self.gains:
            x = self.hop(x, geometry, gains)
        logits = F.linear(rms_norm(x), vectors).float()
        return self.settings.softcap * torch.tanh(logits / self.settings.softcap)

    def _geometry(self, tokens: Tensor) -> Geometry:
        by_head = self.points(self.spectrum).float().unflatten(1, (self.settings.heads, -1))  # (V, H, D)
        points = F.normalize(by_head, dim=-1)[tokens].transpose(1, 2)
        head_width = self.settings.width // self.settings.heads
        rotary = rotary_table(tokens.size(1), head_width, self.settings.rope_base, tokens.device)
        return Geometry(points, points @ points.mT, rotary)


def route(queries: Tensor, keys: Tensor, heads: int, rotary: Rotary) -> Tensor:
    """Cosines of queries and keys, (B, T, W) each, that know their distance: (B, H, T, T) float32."""
    q, k = (rotate(F.normalize(x.float().unflatten(2, (heads, -1)), dim=-1), rotary) for x in (queries, keys))
    cosines: Tensor = q.transpose(1, 2) @ k.permute(0, 2, 3, 1)
    return cosines


def earlier(length: int, device: torch.device) -> Tensor:
    """(T, T): may the row, a receiver, take from the column? Only from strictly earlier positions."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril(-1)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, W) -> (B, H, T, D)."""
    by_head: Tensor = x.unflatten(2, (heads, -1))
    return by_head.transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, T, D) -> (B, T, W)."""
    return x.transpose(1, 2).flatten(2)
