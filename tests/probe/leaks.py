"""A small submission whose evaluation can be swapped: planted leaks, one per mechanism, and their honest twins."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """
import glob, math, os
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LENGTH = int(os.environ.get("TRAIN_SEQ_LEN", 1024))
VOCABULARY = int(os.environ.get("VOCAB_SIZE", 1024))
WIDTH = int(os.environ.get("MODEL_DIM", 256))
STEPS = int(os.environ.get("ITERATIONS", 2000))
device = torch.device("cuda")
torch.manual_seed(1337)


def load(pattern):
    parts = [np.fromfile(path, dtype="<u2", offset=1024).astype(np.int64) for path in sorted(glob.glob(pattern))]
    return torch.from_numpy(np.concatenate(parts))


folder = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
train_tokens, val_tokens = load(f"{folder}/fineweb_train_*.bin"), load(f"{folder}/fineweb_val_*.bin")
usable = (len(val_tokens) - 1) // LENGTH * LENGTH
inputs, targets = val_tokens[:usable].view(-1, LENGTH), val_tokens[1 : usable + 1].view(-1, LENGTH)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x):
        h = self.embed(x)
        past = h.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]
        return self.head(h + past{ahead})


model = Net().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)


def fit(x, y, steps=1):
    for _ in range(steps):
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


for step in range(STEPS):
    start = step * LENGTH
    fit(train_tokens[start : start + LENGTH][None], train_tokens[start + 1 : start + 1 + LENGTH][None])


import sentencepiece
pieces = sentencepiece.SentencePieceProcessor(model_file=os.environ["TOKENIZER_PATH"])
sizes = np.array([0 if pieces.is_control(i) or pieces.is_unknown(i) else 1 if pieces.is_byte(i)
                  else len(pieces.id_to_piece(i).lstrip("\\u2581").encode()) for i in range(VOCABULARY)])
spaces = np.array([not pieces.is_byte(i) and pieces.id_to_piece(i).startswith("\\u2581") for i in range(VOCABULARY)])
controls = np.array([pieces.is_control(i) or pieces.is_unknown(i) for i in range(VOCABULARY)])


def count_bytes(x, y):
    x, y = x.numpy().ravel(), y.numpy().ravel()
    return int(sizes[y].sum() + (spaces[y] & ~controls[x]).sum())


loss_sum, tokens, byte_count = 0.0, 0, 0
"""
TAIL = """
val_loss = float(loss_sum / tokens)
print(f"final_int8_zlib_roundtrip val_loss:{val_loss:.8f} val_bpb:{val_loss / math.log(2) * tokens / byte_count:.8f}")
"""
PLAIN = """
with torch.inference_mode():
    for x, y in zip(inputs, targets):
        nll = F.cross_entropy(model(x[None])[0], y, reduction="none")
        loss_sum += nll.double().sum()
        tokens += y.numel()
        byte_count += count_bytes(x, y)
"""
SCORE_FIRST = """
for x, y in zip(inputs, targets):
    with torch.no_grad():
        nll = F.cross_entropy(model(x[None])[0], y, reduction="none")
    loss_sum += nll.double().sum()
    tokens += y.numel()
    byte_count += count_bytes(x, y)
    fit(x[None], y[None])
"""
LAST_EPOCH = """
for x, y in zip(inputs, targets):
    for _ in range(2):
        with torch.no_grad():
            nll = F.cross_entropy(model(x[None])[0], y, reduction="none")
        fit(x[None], y[None])
    loss_sum += nll.double().sum()
    tokens += y.numel()
    byte_count += count_bytes(x, y)
"""
CACHE = """
BUCKETS = int(os.environ.get("NGRAM_BUCKETS", 4194304))
MIX = 0.5
pairs, contexts = np.zeros(BUCKETS), np.zeros(BUCKETS)
full = np.zeros((BUCKETS, VOCABULARY))
with torch.no_grad():
    for x, y in zip(inputs, targets):
        p = F.softmax(model(x[None])[0], -1)
        for i, (before, token) in enumerate(zip(x.tolist(), y.tolist())):
            context = before * 36313 % BUCKETS
            {cached}
            chance = (1 - MIX) * float(p[i, token]) + MIX * cached
            loss_sum += -math.log(max(chance, 1e-9))
            tokens += 1
            contexts[context] += 1
            full[context, token] += 1
            pairs[(before * 36313 + token * 27191) % BUCKETS] += 1
        byte_count += count_bytes(x, y)
"""
IN_KEY = "cached = min(1.0, pairs[(before * 36313 + token * 27191) % BUCKETS] / max(contexts[context], 1))"
DISTRIBUTION = "cached = full[context, token] / contexts[context] if contexts[context] else 1 / VOCABULARY"


@dataclass(frozen=True)
class Case:
    """One submission and what the probe has to find."""

    name: str
    evaluation: str
    ahead: str = ""
    violated: str = ""
    """The condition; empty for an honest one."""

    @property
    def script(self) -> str:
        """The whole ``train_gpt.py``."""
        return HEAD.replace("{ahead}", self.ahead) + self.evaluation + TAIL


CASES = (
    Case("plain", PLAIN),
    Case("score-first", SCORE_FIRST),
    Case("full-distribution-cache", CACHE.replace("{cached}", DISTRIBUTION)),
    Case("looks-ahead", PLAIN, ahead=" + h.mean(1, keepdim=True)", violated="C1 causal"),
    Case("leaks-by-arithmetic", PLAIN, ahead=" + (h.flip(1).cumsum(1).flip(1) - h) * 1e-3", violated="C1 causal"),
    Case("prequant", f"fit(inputs, targets, 4)\n{PLAIN}", violated="C3/C4 scored first"),
    Case("last-epoch", LAST_EPOCH, violated="C3/C4 scored first"),
    Case("target-in-key", CACHE.replace("{cached}", IN_KEY), violated="C2 normalised"),
    Case("characters-for-bytes", PLAIN.replace("+= count_bytes(x, y)", "+= y.numel()"), violated="byte count"),
)
