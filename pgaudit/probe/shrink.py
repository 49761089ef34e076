"""How each size of a submission is made small: by its name, so that proportions stay as they are.

Widths to an eighth, lengths of text to a thirty-second, tables by the length of the whole validation text, steps to a few. Numbers of
layers, heads, loops and epochs stay: a submission's structure rests on them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

SEQUENCE = 64
"""Tokens of one sequence."""
WIDTH = 8
"""Widths are divided by this."""
VALIDATION = 1024
"""Tokens that are scored."""
OFFICIAL = 62_021_846
"""Tokens of the official validation split with the 1,024-piece tokenizer."""
BATCH = 8 * 2 * SEQUENCE
"""Tokens of a training step: two sequences for each of the eight parts that one process makes of it."""
STEPS = 8

Number = int | float
Resize = Callable[[Number], Number]


@dataclass(frozen=True, slots=True)
class Change:
    """One size that was made small."""

    name: str
    old: Number
    new: Number
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Names of one kind and what becomes of their values."""

    names: re.Pattern[str]
    resize: Resize
    reason: str


def _divided(by: int, least: int) -> Resize:
    """An exact part, so that what divided the old value divides the new one."""
    return lambda old: old if old <= least or old % by else max(least, old // by)


def _at_most(most: Number) -> Resize:
    return lambda old: min(old, most)


def _exactly(value: Number) -> Resize:
    return lambda old: value if old > 0 else old


def _tokens(old: Number) -> Number:
    """A length in tokens: 2,048 becomes 64. A stride keeps its proportion to the window."""
    return old if old <= 1 else max(4, 2 ** round(math.log2(max(4, old / 32))))


def _table(old: Number) -> Number:
    """Rows of a hash table, so that as many tokens share one as would on the whole text."""
    if old < 2**15:
        return old
    return max(16, 2 ** round(math.log2(max(16, old * 4 * VALIDATION / OFFICIAL))))


RULES = (
    Rule(re.compile(r"(?:val|eval|validation)_batch_(?:size|tokens)"), _exactly(8 * SEQUENCE), "one sequence per part"),
    Rule(re.compile(r"(?:train_)?batch_(?:tokens|size_tokens)|tokens_per_(?:batch|step)|total_batch(?:_size|_tokens)?"), _exactly(BATCH), "two sequences per part"),
    Rule(re.compile(r"iterations|num_iterations|max_steps|train_steps|total_steps|n_steps|num_steps"), _at_most(STEPS), "a few steps of training"),
    Rule(re.compile(r"warmup_(?:steps|iters)|lr_warmup\w*|compile_warmup\w*"), _at_most(1), "one step"),
    Rule(re.compile(r"(?:warmdown|cooldown)_(?:steps|iters|iterations)"), _at_most(STEPS // 2), "half of training"),
    Rule(re.compile(r"muon_momentum_warmup_steps|.*momentum_warmup\w*"), _at_most(STEPS // 2), "half of training"),
    Rule(re.compile(r"\w*(?:start|begin|from)_(?:step|iter|iteration)s?|\w*_step_start|\w*_after_steps?"), lambda old: min(old, max(1, round(old * STEPS / 13_000))), "the same part of training"),
    Rule(re.compile(r"train_log_every|log_every|log_interval"), _at_most(4), "twice in a run"),
    Rule(re.compile(r"val_loss_every|val_every|eval_every"), _exactly(0), "validation at the end only"),
    Rule(re.compile(r"(?:swa|ema|lawa)_(?:every|freq|interval|start_step|start_iter\w*)"), _at_most(2), "often in a short run"),
    Rule(re.compile(r"(?:ema|swa)_(?:decay|beta|momentum)"), _at_most(0.7), "averages over a short run"),
    Rule(re.compile(r"train_seq_len|eval_seq_len|seq_len|seqlen|block_size|context_len(?:gth)?|max_seq_len|sequence_length|ctx_len|ttt_\w*seq_len|eval_len\w*|\w*_seq_len|yarn_max_len|train_context\w*"), _tokens, "a thirty-second of the text at once"),
    Rule(re.compile(r"(?:eval_|ttt_|sliding_)?stride|eval_stride\w*|\w*chunk_(?:tokens|size|len)|\w*chunk_seqs_tokens|window(?:_size|_len|_tokens)?|\w*_window(?:_size)?|prefix_tokens|\w*_min_tokens|\w*warmup_tokens|local_attn\w*"), _tokens, "as the sequence"),
    Rule(re.compile(r"model_dim|d_model|n_embd|embed(?:ding)?_dim|hidden_(?:dim|size)|dim|width|mlp_hidden(?:_dim)?|d_ff|ffn_dim|\w*_embed_dim|\w+_dim|d_\w+|head_dim|bottleneck"), _divided(WIDTH, 4), "an eighth of the width"),
    Rule(re.compile(r"\w*rope_dims|rope_dim|\w*_rank|rank_dim"), _divided(WIDTH, 2), "an eighth, as the width"),
    Rule(re.compile(r"\w*(?:bucket|hash|table|slots?)_?(?:s|size|count|bits_size|vocab_size|rows)?|\w*buckets\w*|\w*_hash_size|\w*table_size"), _table, "as many tokens share a row as on the whole text"),
    Rule(re.compile(r"bigram_vocab_size|trigram_vocab_size|\w*gram_(?:vocab|size|vocab_size)"), _at_most(512), "as the text"),
    Rule(re.compile(r"int8_keep_float_max_numel|\w*keep_float\w*numel|\w*max_numel|\w*passthrough\w*numel|\w*numel\w*threshold|numel"), lambda old: max(1, old // WIDTH**2), "the square of the width"),
    Rule(re.compile(r"(?:gptq_)?(?:calib|calibration)_(?:batches|nsamples|samples|seqs|steps)|\w*calib\w*(?:batches|samples|seqs)"), _at_most(4), "a few batches"),
    Rule(re.compile(r"\w*(?:batch_seqs|batch_sequences|batch_docs|batch_size)"), _at_most(4), "several batches in a short text"),
    Rule(re.compile(r"\w*(?:prefix_docs|num_docs|max_docs)"), _at_most(3), "some of the documents"),
    Rule(re.compile(r"(?:ttt|slot|adapt)\w*(?:epochs|steps|iters)"), _at_most(4), "adaptation that can be waited for"),
)
"""The first that matches decides."""


@dataclass
class Shrinker:
    """Applies the rules; a value that it has made itself is left alone, so that passing one on changes nothing."""

    kept: frozenset[str] = frozenset()
    """Names that are left as they are."""
    changes: dict[str, Change] = field(default_factory=dict)
    _made: dict[str, set[Number]] = field(default_factory=dict)

    def size(self, name: str, value: Number) -> Number:
        """What a size is in the probe."""
        key = name.lower().strip("_")
        if isinstance(value, bool) or key in self.kept or value in self._made.get(key, ()):
            return value
        rule = next((rule for rule in RULES if rule.names.fullmatch(key)), None)
        if rule is None:
            return value
        new = rule.resize(value)
        new = type(value)(new)
        self._made.setdefault(key, set()).add(new)
        if new != value:
            self.changes.setdefault(key, Change(name, value, new, rule.reason))
        return new

    def text(self, name: str, value: str) -> str:
        """The same for a value of the environment: text that may hold a number."""
        try:
            number: Number = int(value)
        except ValueError:
            try:
                number = float(value)
            except ValueError:
                return value
        new = self.size(name, number)
        return value if new == number else str(new)
