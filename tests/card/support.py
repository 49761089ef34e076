"""A small script with the usual settings, and the card of it."""

from __future__ import annotations

from collections.abc import Mapping

from pgaudit import policy
from pgaudit.card.card import card_of
from pgaudit.card.facts import Card, Fact
from pgaudit.evidence.evidence import Evidence
from tests.support import submission

HEAD = """\
import math
import os
import lzma
import zlib
import torch
import torch.nn.functional as F
from torch import nn


class Settings:
    num_layers = int(os.environ.get("NUM_LAYERS", 9))
    model_dim = int(os.environ.get("MODEL_DIM", "512"))
    num_heads = int(os.environ.get("NUM_HEADS", 8))
    num_kv_heads = int(os.environ.get("NUM_KV_HEADS", 4))
    logit_softcap = float(os.environ.get("LOGIT_SOFTCAP", 30.0))
    rope_dims = int(os.environ.get("ROPE_DIMS", 16))
    ema_decay = float(os.environ.get("EMA_DECAY", 0.997))
    ema_enabled = bool(int(os.environ.get("EMA_ENABLED", "1")))
    warmdown_iters = int(os.environ.get("WARMDOWN_ITERS", 3000))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))
    train_seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 1024))
    matrix_bits = int(os.environ.get("MATRIX_BITS", 6))
    matrix_lr = float(os.environ.get("MATRIX_LR", 0.02))
    compressor = os.environ.get("COMPRESSOR", "zlib")
    tied = bool(int(os.environ.get("TIE_EMBEDDINGS", "1")))


h = Settings()
"""


def card(text: str, files: Mapping[str, str] | None = None) -> Card:
    """The card of a script, with other files beside it."""
    content = {path: data.encode() for path, data in (files or {}).items()}
    (folder,) = submission(text, content).submissions
    return card_of(Evidence(folder, policy.load().edition_at(None)))


def facts(text: str, files: Mapping[str, str] | None = None, head: str = HEAD) -> dict[str, Fact]:
    """The facts of a script that begins with the usual settings, by name."""
    found = card(head + text, files).facts
    assert len({(fact.category, fact.name) for fact in found}) == len(found)
    return {fact.name: fact for fact in found}


def values(fact: Fact) -> dict[str, str]:
    """The parameters of a fact."""
    return {parameter.name: parameter.value for parameter in fact.parameters}
