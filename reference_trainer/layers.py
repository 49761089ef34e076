"""Parts of a decoder block.

Shapes: B sequences, T tokens, W width of the residual stream, H query heads, K key-value heads, D width of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.preset import TransformerSettings
from reference_trainer.quantisation import fake_quantise

Rotary = tuple[Tensor, Tensor]  # cosines and sines, (T, 1, rotated / 2) each


def rms_norm(x: Tensor) -> Tensor:
    """RMSNorm (Zhang & Sennrich 2019) over the last dimension, without a learned gain."""
    return F.rms_norm(x, (x.size(-1),))


class Dense(nn.Linear):
    """y = x W^T. With `bits`, W is rounded in the forward pass, to integers of that width as the artifact will hold them.

    The steps are not quite the artifact's: here each row reaches to its largest magnitude, at export as its format clips.
    """

    def __init__(self, inputs: int, outputs: int, zero: bool = False) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.bits: int | None = None
        if zero:
            nn.init.zeros_(self.weight)
        else:
            # Normal, because rows of uniform weights fill every integer code alike and no codec could shorten them.
            nn.init.normal_(self.weight, std=0.5 * inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight if self.bits is None else fake_quantise(self.weight, self.bits))


def round_weights(network: nn.Module, bits: int | None) -> None:
    """Begins (or, with None, ends) quantisation-aware training: all dense layers compute with weights of `bits`."""
    for module in network.modules():
        if isinstance(module, Dense):
            module.bits = bits


# Rotary embedding


def rotary_table(length: int, dimensions: int, base: float, device: torch.device) -> Rotary:
    """RoPE (Su et al. 2021): cosines and sines of position * base^(-2i / dimensions)."""
    frequencies: Tensor = base ** (-torch.arange(0, dimensions, 2, dtype=torch.float32, device=device) / dimensions)
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotates the leading dimensions of each head, as many as the table has; the others carry no position.

    (B, T, H, D) -> (B, T, H, D). Dimension i turns with i + rotated / 2. Partial RoPE follows GPT-NeoX (Black et al. 2022).
    """
    cos, sin = rotary
    half = cos.size(-1)
    first, second, still = x.split([half, half, x.size(-1) - 2 * half], dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos, still], dim=-1)


# Attention


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal softmax attention: q (B, T, H, D), k and v (B, T, K, D) -> (B, T, H, D)."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2)


def without_own_value(y: Tensor, v: Tensor) -> Tensor:
    """Exclusive self-attention, XSA (Zhai 2026, arXiv:2603.09078): y - (y.v) v / |v|^2.

    y: (B, T, H, D) outputs of the heads; v: (B, T, K, D) values of the same tokens. What a head says about a token is
    left orthogonal to the value that the token itself contributes, so attention carries context only. A first token
    has no context: its outputs vanish.
    """
    own: Tensor = F.normalize(v.float(), dim=-1).unsqueeze(3)  # (B, T, K, 1, D)
    grouped: Tensor = y.float().unflatten(2, (v.size(2), -1))  # (B, T, K, H / K, D): the heads that share a value
    return (grouped - (grouped * own).sum(-1, keepdim=True) * own).flatten(2, 3).type_as(y)


class CausalSelfAttention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023) with normalised queries and keys (Henry et al. 2020).

    After the norm the attention logits of a head are cosines, times sqrt(D) and a learned gain.
    """

    def __init__(self, settings: TransformerSettings, exclusive: bool) -> None:
        super().__init__()
        self.head_width = settings.width // settings.heads
        self.exclusive = exclusive
        kv_width = settings.kv_heads * self.head_width
        self.query = Dense(settings.width, settings.width)
        self.key = Dense(settings.width, kv_width)
        self.value = Dense(settings.width, kv_width)
        self.output = Dense(settings.width, settings.width, zero=True)
        self.gain = nn.Parameter(torch.full((settings.heads,), settings.qk_gain))

    def forward(self, x: Tensor, rotary: Rotary, value_embedding: Tensor | None) -> Tensor:
        """x: (B, T, W), value_embedding: (B, T, K * D) -> (B, T, W)."""
        v = self.value(x)
        if value_embedding is not None:
            v = v + value_embedding
        v = self._heads(v)
        q = rotate(rms_norm(self._heads(self.query(x))), rotary) * self.gain[:, None]
        k = rotate(rms_norm(self._heads(self.key(x))), rotary)
        y = attend(q.type_as(v), k.type_as(v), v)
        if self.exclusive:
            y = without_own_value(y, v)
        written: Tensor = self.output(y.flatten(2))
        return written

    def _heads(self, x: Tensor) -> Tensor:
        """(B, T, heads * D) -> (B, T, heads, D)."""
        heads: Tensor = x.unflatten(2, (-1, self.head_width))
        return heads


# MLP


def relu_squared(x: Tensor) -> Tensor:
    """So et al. 2021."""
    return F.relu(x).square()


def leaky_relu_squared(x: Tensor) -> Tensor:
    """Squared leaky ReLU of slope 0.5: what is below zero keeps a gradient, and comes out positive."""
    return F.leaky_relu(x, 0.5).square()


ACTIVATIONS = {"relu_squared": relu_squared, "leaky_relu_squared": leaky_relu_squared}


class MLP(nn.Module):
    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        hidden = int(settings.mlp_ratio * settings.width)
        self.up = Dense(settings.width, hidden)
        self.down = Dense(hidden, settings.width, zero=True)
        self.activation = ACTIVATIONS[settings.activation]

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, W)."""
        written: Tensor = self.down(self.activation(self.up(x)))
        return written
