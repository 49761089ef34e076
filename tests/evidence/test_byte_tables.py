"""Counts of bytes that scripts make, computed on the sample vocabulary: twins that differ in the count alone."""

from __future__ import annotations

from textwrap import dedent

import libcst
import pytest

from pgaudit.evidence.byte_tables.counts import Cause, bytes_per_token, counts
from pgaudit.program.lower import lower

READ = """
import math
import numpy as np
import sentencepiece as sp
import torch

ids = torch.from_numpy(np.fromfile("val.bin", dtype="<u2"))
left, right = ids[:-1], ids[1:]
words = sp.SentencePieceProcessor(model_file="some.model")
"""

ARRAYS = """
def sizes_of(tok, n):
    width = np.zeros((max(tok.vocab_size(), n),), dtype=np.int16)
    gap = np.zeros((n,), dtype=np.bool_)
    edge = np.ones((n,), dtype=np.bool_)
    for k in range(tok.vocab_size()):
        if tok.is_control(k) or tok.is_unknown(k) or tok.is_unused(k):
            continue
        edge[k] = False
        if tok.is_byte(k):
            width[k] = 1
            continue
        text = tok.id_to_piece(k)
        if text.startswith("\\u2581"):
            gap[k] = True
            text = text[1:]
        width[k] = len(text.encode("utf-8"))
    return torch.tensor(width), torch.tensor(gap, dtype=torch.bool), torch.tensor(edge, dtype=torch.bool)

width, gap, edge = sizes_of(words, unknown_size())
"""
ADDED = """
n = width[right].to(torch.int16)
n += (gap[right] & ~edge[left]).to(torch.int16)
total += n.double().sum()
"""
FLAGS_FIRST = """
extra = gap[right] & ~edge[left]
total += (width[right] + extra).sum()
"""
LOOP = """
total = 0
for before, after in zip(left.tolist(), right.tolist()):
    total += width[after]
    if gap[after] and not edge[before]:
        total += 1
print(total)
"""
OBJECT = """
class Text:
    def __init__(self, path, n):
        self.tok = sp.SentencePieceProcessor(model_file=path)
        self.width, self.gap, self.edge = sizes_of(self.tok, n)

    def weigh(self, x, y):
        return self.width[y] + (self.gap[y] & ~self.edge[x])

def measure(text, x, y, device):
    number = torch.zeros((), device=device)
    for row in range(x.size(0)):
        number += text.weigh(x[row], y[row]).float().sum()
    return number

print(measure(Text("some.model", unknown_size()), left, right, "cuda"))
"""
COMPREHENSIONS = """
MARK = "\\u2581"
def one(tok, k):
    if tok.IsByte(k):
        return 1
    return 0 if tok.IsControl(k) or tok.IsUnknown(k) else len(tok.IdToPiece(k).replace(MARK, "").encode())
width = {k: one(words, k) for k in range(len(words))}
gap = [words.IdToPiece(k).startswith(MARK) for k in range(len(words))]
total += width[int(right[0])] + int(gap[int(right[0])])
"""
INSIDE = """
width = torch.zeros(unknown_size())
for k in range(words.get_piece_size()):
    if not (words.is_control(k) or words.is_unknown(k)):
        width[k] = 1 if words.is_byte(k) else len(words.id_to_piece(k).replace("\\u2581", " ").encode())
total += width.to("cuda").gather(0, right).sum()
"""
AHEAD = """
from collections import defaultdict
from dataclasses import dataclass
import torch.nn.functional as F

@dataclass(frozen=True)
class Text:
    tokens: torch.Tensor
    sizes: torch.Tensor

def prepare(path, side_file):
    if words.vocab_size() != 1024:
        raise ValueError("another tokenizer")
    width, gap, edge = sizes_of(words, unknown_size())
    counted = F.pad(width[right] + (gap[right] & ~edge[left]), (1, 0))
    counted = read(side_file) if side_file else counted
    if counted.sum() == 0:
        raise ValueError("no text")
    return Text(ids, counted)

def measure(text, starts):
    sizes = torch.stack([text.sizes[start + 1 : start + 65] for start in starts])
    return torch.stack([sizes[scored()].double().sum(), nats()])

by_shape = defaultdict(list)
for weight in weights():
    by_shape.setdefault(weight.shape, []).append(weight)
print(measure(prepare(path(), side_file()), starts()))
"""

LEGAL = {
    "arrays": ARRAYS + ADDED,
    "flags first": ARRAYS + FLAGS_FIRST,
    "a plain loop": ARRAYS + LOOP,
    "an object that holds the tables": ARRAYS + OBJECT,
    "counts of the whole text ahead": ARRAYS + AHEAD,
    "comprehensions and a dictionary": COMPREHENSIONS,
    "the space inside the table": INSIDE,
}
SPELLED = ("if tok.is_byte(k):", "if False:")
TWICE = ("text = text[1:]", "text = ' ' + text[1:]")
LOST = ("\\u2581", "?")
ILLEGAL = {
    "spelled": (LEGAL["arrays"], SPELLED, {Cause.SPELLING}),
    "twice": (LEGAL["arrays"], TWICE, {Cause.TWICE}),
    "twice, flags first": (LEGAL["flags first"], TWICE, {Cause.TWICE}),
    "twice, in a plain loop": (LEGAL["a plain loop"], TWICE, {Cause.TWICE}),
    "twice, in an object": (LEGAL["an object that holds the tables"], TWICE, {Cause.TWICE}),
    "twice, ahead": (LEGAL["counts of the whole text ahead"], TWICE, {Cause.TWICE}),
    "another marker": (LEGAL["arrays"], LOST, {Cause.MARKER}),
    "a marker that is not taken off": (LEGAL["comprehensions and a dictionary"], ("replace(MARK", "replace('_'"), {Cause.MARKER}),
    "added to what is inside": (LEGAL["the space inside the table"], ("sum()", "sum() + 1"), {Cause.TWICE, Cause.OTHER, Cause.SPELLING}),
}  # fmt: skip


def counted(script: str) -> list[set[Cause]]:
    """The causes of every count that is too large, one set for each place where bytes are added up."""
    found = counts({"__main__": lower(libcst.parse_module(dedent(READ + script)))}, ())
    return [{excess.cause for excess in count.excesses} for count in found]


@pytest.mark.parametrize("script", LEGAL.values(), ids=LEGAL)
def test_right_counts_are_seen_and_found_right(script: str) -> None:
    found = counted(script)
    assert found
    assert not any(found)


@pytest.mark.parametrize("script,change,causes", ILLEGAL.values(), ids=ILLEGAL)
def test_one_change_makes_a_count_too_large(script: str, change: tuple[str, str], causes: set[Cause]) -> None:
    assert script.count(change[0])
    assert causes in counted(script.replace(*change))


CONTINUES = """
total = 0
for after in right.tolist():
    if special[after]:
        total += 1
        continue
    total += width[after]
print(total)
"""
BYTE_FLAGS = "special = torch.tensor([words.is_byte(k) for k in range(words.vocab_size())])\n"
SOMETIMES = "if tok.is_byte(k) and not switched_on():"

UNDECIDED = {
    "a loop that leaves byte tokens early": ARRAYS.replace(*SPELLED) + BYTE_FLAGS + CONTINUES,
    "a condition that keeps the rest from running": ARRAYS.replace("if tok.is_byte(k):", SOMETIMES) + ADDED,
    "a table from a file": "width = torch.load('sizes.pt')\ntotal += width[right].sum()",
    "a tokenizer of another library": "tok = other.load('x')\nwidth = [len(tok.id_to_piece(k)) for k in range(tok.vocab_size())]\ntotal += width[int(right[0])]",
    "too much for some tokens and too little for others": ARRAYS.replace(*SPELLED).replace(
        "text = text[1:]", "text = text[1:]; edge[k] = True"
    )
    + ADDED,
    "another table by token": "order = torch.tensor([k for k in range(words.vocab_size())])\ntotal += order[right].sum()",
    "lengths that are not added up": "width = torch.tensor([len(words.id_to_piece(k)) for k in range(words.vocab_size())])\nprint(width[right])",
    "decoded text": "width = [len(words.decode([k]).encode()) for k in range(words.vocab_size())]\ntotal += width[int(right[0])]",
    "a condition that is not known": ARRAYS.replace("if tok.is_byte(k):", "if switched_on():") + ADDED,
}


@pytest.mark.parametrize("script", UNDECIDED.values(), ids=UNDECIDED)
def test_what_cannot_be_computed_is_not_found_wrong(script: str) -> None:
    assert not any(counted(script))


@pytest.mark.parametrize(
    "script",
    [
        "x = [0]\nfor k in range(words.vocab_size()):\n    words.is_byte(k)\n    x = x + x\n",
        "x = 2\nfor k in range(words.vocab_size()):\n    words.is_byte(k)\n    x = x ** x\n",
        "def f(w):\n    return f(w)\nf(words)\n",
        "x = [[[[words.is_byte(k) for k in range(9999)] for k in range(9999)] for k in range(9999)] for k in range(9999)]\n",
        "x = '\\u2581' * 10**9\nwords.id_to_piece(x)\n",
    ],
)
def test_a_script_cannot_make_it_compute_for_long(script: str) -> None:
    assert counted(script + ADDED) == []


SCALED = """
nats, n = 0.0, 0
for row in ids:
    nats += loss_of(row).item()
    n += 1
bits = {formula}
print(f"val_loss:{{nats / n:.4f}} val_bpb:{{bits:.4f}}")
"""


@pytest.mark.parametrize(
    "formula,expected",
    [
        ("nats / n / (math.log(2) * 3.5)", 3.5),
        ("nats / n / math.log(2.0) / 2.7523 + 3e-5", 2.7523),
        ("nats / math.log(2) / (n * 2.44)", 2.44),
        ("nats / n / math.log(2)", None),
        ("nats / n / math.log(2) / 4", None),
        ("nats / n / math.log(2) * tokens_per_byte()", None),
        ("nats / math.log(2) / byte_count()", None),
        ("sum_of(nats) / 1e6", None),
    ],
)
def test_a_constant_in_place_of_a_count(formula: str, expected: float | None) -> None:
    script = dedent(READ + SCALED.format(formula=formula))
    line = script.splitlines().index(next(row for row in script.splitlines() if row.startswith("print("))) + 1
    assert bytes_per_token({"__main__": lower(libcst.parse_module(script))}, ("__main__", line), ()) == expected
