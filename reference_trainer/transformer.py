"""The decoder-only transformer of four presets.

    x = first = norm(token embedding + hashed bigram)
    for each virtual layer: x = x + skip;  x = mix(x, first);  x = x + attention(norm(x));  x = x + MLP(norm(x))
    logits = softcap(norm(x) . token embeddings + count bigram)

Shapes as in `layers`; V is the vocabulary. Parameters are float32. Under autocast the residual stream is bfloat16.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_trainer.bigram import CountBigram, HashedBigram
from reference_trainer.layers import MLP, CausalSelfAttention, Dense, Rotary, rms_norm, rotary_table
from reference_trainer.preset import TransformerSettings


def stream_dtype(device: torch.device) -> torch.dtype:
    """The type of the residual stream: that of autocast, where it is on."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32


def layer_order(settings: TransformerSettings, repeat: bool) -> tuple[int, ...]:
    """Physical layers in the order in which they run: 0 1 2 3 4 5 | 3 4 5 | 6 7 ... if 3-5 repeat."""
    layers = tuple(range(settings.layers))
    if not repeat or not settings.repeated:
        return layers
    last = settings.repeated[-1]
    return layers[: last + 1] + settings.repeated + layers[last + 1 :]


class Block(nn.Module):
    """Attention and MLP, each behind a norm and with a learned scale per channel (LayerScale, Touvron et al. 2021)."""

    def __init__(self, settings: TransformerSettings, layer: int) -> None:
        super().__init__()
        self.parallel = settings.parallel_from is not None and layer >= settings.parallel_from
        self.norm_scale = (layer + 1) ** -0.5 if settings.scale_norm_by_depth else 1.0
        self.attention = CausalSelfAttention(settings, exclusive=layer >= settings.layers - settings.exclusive_last)
        self.mlp = MLP(settings)
        self.mix = nn.Parameter(torch.stack([torch.ones(settings.width), torch.zeros(settings.width)]))
        self.attention_scale = nn.Parameter(torch.ones(settings.width))
        self.mlp_scale = nn.Parameter(torch.ones(settings.width))

    def forward(self, x: Tensor, first: Tensor, rotary: Rotary, value_embedding: Tensor | None) -> Tensor:
        """x: (B, T, W) residual stream, first: (B, T, W) the stream before the first block."""
        kept, refreshed = self.mix.type_as(x)  # (W,) each
        x = kept * x + refreshed * first
        normed = self._norm(x)
        x = x + self.attention_scale.type_as(x) * self.attention(normed, rotary, value_embedding)
        if not self.parallel:
            normed = self._norm(x)
        # In parallel the MLP reads what the attention read (GPT-J; Wang & Komatsuzaki 2021).
        written: Tensor = self.mlp(normed)
        return x + self.mlp_scale.type_as(x) * written

    def _norm(self, x: Tensor) -> Tensor:
        return rms_norm(x) * self.norm_scale


def mirrored_layer(layer: int, virtual_layers: int, from_middle: bool) -> int | None:
    """The layer whose output is added where `layer` reads, if there is one.

    From outside it is n - 1 - i, so that pairs stay the same when layers repeat in the middle; a middle pair of neighbours
    would add the stream to itself and is left out. From the middle the second half begins with such a pair, and of an odd
    number of layers the last has no partner: the pairs of the challenge's root script.
    """
    if from_middle:
        mirror = 2 * (virtual_layers // 2) - 1 - layer
        return mirror if 0 <= mirror < layer else None
    mirror = virtual_layers - 1 - layer
    return mirror if mirror < layer - 1 else None


class MirrorSkips(nn.Module):
    """U-Net (Ronneberger et al. 2015): what a layer of the first half wrote is added where one of the second reads."""

    def __init__(self, virtual_layers: int, width: int, gated: bool, from_middle: bool = False) -> None:
        super().__init__()
        self.from_middle = from_middle
        pairs = virtual_layers // 2 if from_middle else (virtual_layers - 1) // 2
        self.scale = nn.Parameter(torch.ones(pairs, width))
        self.gate = nn.Parameter(torch.zeros(pairs, width)) if gated else None

    def forward(self, x: Tensor, written: list[Tensor], virtual_layers: int) -> Tensor:
        """x: (B, T, W) before the next layer; written: what each earlier layer left."""
        mirror = mirrored_layer(len(written), virtual_layers, self.from_middle)
        if mirror is None:
            return x
        skip = self.scale[mirror].type_as(x) * written[mirror]
        if self.gate is None:
            return x + skip
        # A learned share of each channel comes from the skip (highway networks, Srivastava et al. 2015).
        return torch.lerp(x, skip, self.gate[mirror].sigmoid().type_as(x))


class ValueEmbeddings(nn.Module):
    """Token embeddings that some layers add to their values (Zhou et al. 2024; modded-nanogpt): one narrow table for all."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        self.layers = settings.value_embedding_layers
        self.table = nn.Embedding(settings.vocabulary, settings.value_embeddings)
        self.projection = Dense(settings.value_embeddings, settings.kv_heads * settings.width // settings.heads)
        self.scale = nn.Parameter(torch.ones(len(self.layers)))
        nn.init.zeros_(self.table.weight)

    def forward(self, tokens: Tensor) -> Mapping[int, Tensor]:
        """(B, T) -> for each layer that has one, (B, T, K * D)."""
        shared = self.projection(self.table(tokens))
        return {layer: scale.type_as(shared) * shared for layer, scale in zip(self.layers, self.scale, strict=True)}


class Transformer(nn.Module):
    """Causal language model. `bigram_counts` (V, V) are needed for training only: afterwards they are in the weights."""

    def __init__(self, settings: TransformerSettings, bigram_counts: Tensor | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(settings.vocabulary, settings.width)
        nn.init.normal_(self.embedding.weight, std=0.005)  # tied: the first logits are close to zero
        self.blocks = nn.ModuleList(Block(settings, layer) for layer in range(settings.layers))
        self.skips = (
            MirrorSkips(
                len(layer_order(settings, repeat=True)), settings.width, settings.skip_gates, settings.skips_from_middle
            )
            if settings.unet_skips
            else None
        )
        self.value_embeddings = ValueEmbeddings(settings) if settings.value_embeddings else None
        self.hashed_bigram = (
            HashedBigram(settings.vocabulary, settings.hashed_bigrams, settings.hashed_bigram_width, settings.width)
            if settings.hashed_bigrams
            else None
        )
        self.count_bigram = CountBigram(settings.vocabulary, bigram_counts) if settings.count_bigram else None
        self.set_step(0, 1)

    def set_step(self, step: int, total: int) -> None:  # noqa: ARG002
        """Makes this the network of an optimizer step: layers repeat from one on (depth recurrence, Dehghani et al. 2018)."""
        self.order = layer_order(self.settings, repeat=step >= self.settings.repeat_from)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> logits (B, T, V) of the tokens that follow, float32."""
        rotary = rotary_table(tokens.size(1), self._rotated(), self.settings.rope_base, tokens.device)
        values = self.value_embeddings(tokens) if self.value_embeddings is not None else {}
        x = first = self._embed(tokens)
        written: list[Tensor] = []
        for layer in self.order:
            if self.skips is not None:
                x = self.skips(x, written, len(self.order))
            x = self.blocks[layer](x, first, rotary, values.get(layer))
            written.append(x)
        return self._logits(rms_norm(x), tokens)

    def _rotated(self) -> int:
        return self.settings.rope_dimensions or self.settings.width // self.settings.heads

    def _embed(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, W)."""
        x: Tensor = self.embedding(tokens)
        if self.hashed_bigram is not None:
            x = x + self.hashed_bigram(tokens)
        return rms_norm(x).to(stream_dtype(x.device))

    def _logits(self, x: Tensor, tokens: Tensor) -> Tensor:
        """(B, T, W) -> (B, T, V). The soft cap (Gemma 2) bounds the sum of network and count bigram."""
        logits = F.linear(x, self.embedding.weight).float()
        if self.count_bigram is not None:
            logits = logits + self.count_bigram(tokens)
        return self.settings.softcap * torch.tanh(logits / self.settings.softcap)
