"""flash-attention 2 and 3, and flexible attention, by plain products: every length, windows, masks, grouped heads."""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool, window: tuple[int, int] = (-1, -1), scale: float | None = None,
    softcap: float = 0.0,
) -> Tensor:  # fmt: skip
    """Attention of ``[batch, length, heads, width]``; the last query stands at the last key."""
    groups = q.shape[2] // k.shape[2]
    k, v = (x.repeat_interleave(groups, dim=2) for x in (k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q.float(), k.float()) * (scale or q.shape[-1] ** -0.5)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    ahead = torch.arange(k.shape[1])[None, :] - torch.arange(q.shape[1])[:, None] - (k.shape[1] - q.shape[1])
    left, right = window
    hidden = torch.zeros_like(ahead, dtype=torch.bool)
    if causal or right >= 0:
        hidden |= ahead > (0 if causal else right)
    if left >= 0:
        hidden |= ahead < -left
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1).nan_to_num()
    return torch.einsum("bhqk,bkhd->bqhd", weights, v.float()).to(q.dtype)


def flash_attn_func(
    q: Tensor, k: Tensor, v: Tensor, _dropout: float = 0.0, softmax_scale: float | None = None, causal: bool = False,
    window_size: tuple[int, int] = (-1, -1), softcap: float = 0.0, **_: Any,
) -> Tensor:  # fmt: skip
    """Fixed length."""
    return attend(q, k, v, causal=causal, window=tuple(window_size), scale=softmax_scale, softcap=softcap)  # type: ignore[arg-type]


def flash_attn_varlen_func(
    q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, *_: Any, causal: bool = False,
    softmax_scale: float | None = None, window_size: tuple[int, int] = (-1, -1), softcap: float = 0.0, **__: Any,
) -> Tensor:  # fmt: skip
    """Sequences one after the other, ``[tokens, heads, width]``; ``cu_seqlens`` are their borders."""
    out = torch.zeros(q.shape[0], q.shape[1], v.shape[2], dtype=q.dtype)
    borders = zip(
        cu_seqlens_q.tolist(), cu_seqlens_q.tolist()[1:], cu_seqlens_k.tolist(), cu_seqlens_k.tolist()[1:], strict=False
    )
    for q0, q1, k0, k1 in borders:
        if q1 > q0:
            part = attend(
                q[None, q0:q1], k[None, k0:k1], v[None, k0:k1], causal=causal, window=tuple(window_size),  # type: ignore[arg-type]
                scale=softmax_scale, softcap=softcap,
            )  # fmt: skip
            out[q0:q1] = part[0]
    return out


def create_block_mask(mask_mod: Any, B: Any, H: Any, Q_LEN: int, KV_LEN: int, *_: Any, **__: Any) -> Tensor:  # noqa: N803
    """Which key every query sees, ``[batch, heads, queries, keys]``, asked at every place at once."""
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    places = torch.meshgrid(*map(torch.arange, sizes), indexing="ij")
    return torch.as_tensor(mask_mod(*places)).broadcast_to(sizes)


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Any = None, block_mask: Tensor | None = None,
    scale: float | None = None, enable_gqa: bool = False, **_: Any,
) -> Tensor:  # fmt: skip
    """Attention of ``[batch, heads, length, width]`` with scores and a mask of the submission's own."""
    if enable_gqa:
        groups = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
    if score_mod is not None:
        places = torch.meshgrid(*map(torch.arange, scores.shape), indexing="ij")
        scores = score_mod(scores, *places)
    if block_mask is not None:
        scores = scores.masked_fill(~block_mask[..., : scores.shape[-2], : scores.shape[-1]], float("-inf"))
    return scores.softmax(dim=-1).nan_to_num() @ value


def modules() -> dict[str, types.ModuleType]:
    """The packages under all their names. Version 3's functions used to return the log-sum-exp too; new ones do not."""
    flex = types.ModuleType("torch.nn.attention.flex_attention")
    vars(flex).update(flex_attention=flex_attention, create_block_mask=create_block_mask, BlockMask=Tensor)
    found = {flex.__name__: flex}
    for name in (
        "flash_attn",
        "flash_attn_interface",
        "flash_attn.flash_attn_interface",
        "flash_attn_3",
        "flash_attn_3.interface",
    ):
        module = types.ModuleType(name)
        module.__version__ = "3.0.0"  # type: ignore[attr-defined]
        module.flash_attn_func = flash_attn_func  # type: ignore[attr-defined]
        module.flash_attn_varlen_func = flash_attn_varlen_func  # type: ignore[attr-defined]
        found[name] = module
    return found
