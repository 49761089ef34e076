"""The check ``byte count``: the bytes that a score divides by, as its loss and bpb imply them, against those of the text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pgaudit.evidence.denominator import TOLERANCE
from pgaudit.reproduce.check import Check, Status
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult

LEAST_MISCOUNT = 0.01
"""Part of the bytes: less may be a normaliser of the tokenizer's own; the mildest mistake known adds 4 % (``bytes/denominator``)."""


def checks(plan: Plan, seeds: Sequence[SeedResult]) -> Iterator[Check]:
    """What loss and bpb imply of the text, against the text: a denominator that is too large makes a score better."""
    data = plan.data
    if data is None or data.val_bytes is None:
        return
    counted = data.val_bytes / max(data.val_tokens - 1, 1)
    source = f"{data.val_bytes:,} B of text in {data.val_tokens:,} tokens, counted {data.val_bytes_how}"
    stated = [(_bytes_per_token(seed.val_loss, seed.val_bpb), seed) for seed in seeds if seed.val_loss and seed.val_bpb]
    if not stated or not counted:
        why = "no run printed a val_loss beside its val_bpb" if counted else "the tokens stand for no text"
        yield Check("byte count", Status.NOT_STATED, "", f"{counted:.5f} B per token", why, source)
        return
    implied, seed = max(stated, key=lambda pair: abs(pair[0] / counted - 1) - pair[1].rounding)
    excess, room = implied / counted - 1, TOLERANCE + seed.rounding
    others_fit = seed.tokens_per_byte is not None and seed.tokens_per_byte * counted >= 1 - TOLERANCE
    if abs(excess) <= room:
        status, because = Status.HOLDS, "the printed loss and bpb are of a text of as many bytes"
    elif excess <= LEAST_MISCOUNT + seed.rounding:
        less = excess < 0
        status, because = (
            Status.NOT_DECIDED,
            "a part of the text, or too few bytes" if less else "a normaliser of its own",
        )
    elif others_fit:
        status, because = Status.NOT_DECIDED, "other evaluations of the run divide by the right count: a mixture"
    else:
        status, because = Status.FAILS, f"the printed bpb divides by {excess:.1%} more bytes than the text has"
    shown = f"{implied:.5f} B per token (seed {seed.seed})"
    yield Check("byte count", status, shown, f"{counted:.5f} B per token", because, source)


def _bytes_per_token(val_loss: float, val_bpb: float) -> float:
    """What a loss in nats per token and a score in bits per byte imply of the text that both are of."""
    return val_loss / (math.log(2) * val_bpb)
