"""Linear-attention and state-space kernels by their defining recurrences, token by token."""

from __future__ import annotations

import types
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def chunk_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, scale: float | None = None, initial_state: Tensor | None = None,
    output_final_state: bool = False, use_qk_l2norm_in_kernel: bool = False, **_: Any,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """flash-linear-attention's delta rule: ``q, k`` of ``[batch, length, heads, width]``, ``beta`` of ``[batch, length, heads]``."""
    return chunk_gated_delta_rule(
        q, k, v, None, beta, scale, initial_state, output_final_state, use_qk_l2norm_in_kernel
    )  # fmt: skip


def chunk_gated_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor, scale: float | None = None,
    initial_state: Tensor | None = None, output_final_state: bool = False, use_qk_l2norm_in_kernel: bool = False, **_: Any,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The same with a decay of the state, ``g`` of ``[batch, length, heads]`` in logarithms."""
    if use_qk_l2norm_in_kernel:
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    q = q * (scale or q.shape[-1] ** -0.5)
    state = initial_state if initial_state is not None else q.new_zeros(q.shape[0], q.shape[2], k.shape[3], v.shape[3])
    out = list[Tensor]()
    for place in range(q.shape[1]):
        if g is not None:
            state = state * g[:, place, :, None, None].exp()
        key = k[:, place]
        change = (v[:, place] - torch.einsum("bhkv,bhk->bhv", state, key)) * beta[:, place, :, None]
        state = state + torch.einsum("bhk,bhv->bhkv", key, change)
        out.append(torch.einsum("bhkv,bhk->bhv", state, q[:, place]))
    return torch.stack(out, 1), state if output_final_state else None


def selective_scan_fn(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None, z: Tensor | None = None,  # noqa: N803
    delta_bias: Tensor | None = None, delta_softplus: bool = False, return_last_state: bool = False,
) -> Any:  # fmt: skip
    """Mamba's selective scan: ``u, delta`` of ``[batch, channels, length]``, ``A`` of ``[channels, states]``."""
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    groups = u.shape[1] // (B.shape[1] if B.dim() == 4 else 1)
    if B.dim() == 3:
        B, C = B[:, None], C[:, None]  # noqa: N806
    inputs, outputs = (x.repeat_interleave(groups if x.shape[1] > 1 else u.shape[1], 1) for x in (B, C))
    state, out = u.new_zeros(u.shape[0], u.shape[1], A.shape[1]), list[Tensor]()
    for place in range(u.shape[2]):
        step = delta[:, :, place, None]
        state = (step * A).exp() * state + step * inputs[..., place] * u[:, :, place, None]
        out.append((state * outputs[..., place]).sum(-1))
    found = torch.stack(out, 2)
    found = found if D is None else found + u * D[:, None]
    found = found if z is None else found * F.silu(z)
    return (found, state) if return_last_state else found


def causal_conv1d_fn(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *_: Any, activation: str | None = None, **__: Any
) -> Tensor:  # fmt: skip
    """A convolution of every channel of ``[batch, channels, length]`` with what comes before."""
    found = F.conv1d(F.pad(x, (weight.shape[-1] - 1, 0)), weight[:, None], bias, groups=x.shape[1])
    return F.silu(found) if activation in ("silu", "swish") else found


def modules() -> dict[str, types.ModuleType]:
    """The packages that have these functions, with their parents."""
    contents: dict[str, dict[str, Any]] = {
        "fla.ops.delta_rule": {"chunk_delta_rule": chunk_delta_rule, "fused_recurrent_delta_rule": chunk_delta_rule},
        "fla.ops.gated_delta_rule": {
            "chunk_gated_delta_rule": chunk_gated_delta_rule,
            "fused_recurrent_gated_delta_rule": chunk_gated_delta_rule,
        },
        "causal_conv1d": {"causal_conv1d_fn": causal_conv1d_fn},
        "mamba_ssm.ops.selective_scan_interface": {"selective_scan_fn": selective_scan_fn},
    }
    found = dict[str, types.ModuleType]()
    for name, functions in contents.items():
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            whole = ".".join(parts[:length])
            found.setdefault(whole, types.ModuleType(whole))
            if length > 1:
                setattr(found[".".join(parts[: length - 1])], parts[length - 1], found[whole])
        vars(found[name]).update(functions)
    return found
