"""How each size of a submission is made small: by its name, so that proportions stay as they are.

Widths to an eighth, lengths of text to a thirty-second, tables by the length of the whole validation text, steps to a few. Numbers of
layers, heads, loops and epochs stay: a submission's structure rests on them.
"""

from __future__ import annotations

import functools
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
BATCH = 8 * SEQUENCE
"""Tokens of a training step: a sequence for each of the eight parts that one process may make of it."""
STEPS = 8
LONG_TRAINING = 13_000
"""Steps of a training run that uses its ten minutes."""

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
    """An exact part, so that what divided the old value divides the new one; odd widths come to a multiple of 16."""

    def resize(old: Number) -> Number:
        if old <= least or old % by:
            return old
        part = max(least, int(old // by))
        return part if part < 32 or part % 8 == 0 else 16 * math.ceil(part / 16)

    return resize


def _at_most(most: Number) -> Resize:
    return lambda old: min(old, most)


def _exactly(value: Number) -> Resize:
    return lambda old: value if old > 0 else old


def _tokens(old: Number) -> Number:
    """A length in tokens: 2,048 becomes 64. A stride keeps its proportion to the window."""
    return old if old <= 1 else max(4, 2 ** round(math.log2(max(4, old / 32))))


def _sequence(old: Number) -> Number:
    """A length that is read at once; longer ones than the batch's parts would not fit into it."""
    return min(SEQUENCE, _tokens(old)) if old > SEQUENCE else old


def _seconds(old: Number) -> Number:
    """A budget, if it can be one of seconds."""
    return min(old, 2) if old <= 1000 else old


def _bits(old: Number) -> Number:
    """The same for a table given by the bits of its index."""
    return old if old < 15 else round(math.log2(_table(2.0**old)))


def _table(old: Number) -> Number:
    """Rows of a hash table, so that as many tokens share one as would on the whole text."""
    if old < 2**15:
        return old
    return int(max(16, 2 ** round(math.log2(max(16, old * 4 * VALIDATION / OFFICIAL)))))


def _named(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


RULES = (
    Rule(
        _named(r"grad_accum(?:ulation)?_steps", r"accum_steps", r"grad_accum"),
        _at_most(2),
        "an eighth of the micro steps",
    ),
    Rule(_named(r"(?:val|eval|validation)_batch_(?:size|tokens)"), _exactly(8 * SEQUENCE), "one sequence per part"),
    Rule(
        _named(
            r"(?:train_)?batch_(?:tokens|size_tokens)",
            r"train_batch_size",
            r"tokens_per_(?:batch|step)",
            r"total_batch(?:_size|_tokens)?",
            r"\w*calib_batch_tokens",
        ),
        _exactly(BATCH),
        "one sequence per part",
    ),
    Rule(_named(r"(?:num_|max_|train_|total_|n_)?(?:iterations|steps)"), _at_most(STEPS), "a few steps of training"),
    Rule(_named(r"warmup_(?:\w+_)?(?:steps|iters)", r"lr_warmup\w*", r"compile_\w*warmup\w*"), _at_most(1), "one step"),
    Rule(
        _named(r"(?:warmdown|cooldown)_(?:steps|iters|iterations)", r"\w*momentum_warmup(?:_steps|_iters)?"),
        _at_most(STEPS // 2),
        "half of training",
    ),
    Rule(
        _named(r"\w*(?:start|begin|from)_(?:step|iter|iteration)s?", r"\w*_step_start", r"\w*_after_steps?"),
        lambda old: min(old, max(1, round(old * STEPS / LONG_TRAINING))),
        "the same part of training",
    ),
    Rule(_named(r"(?:train_)?log_(?:every|interval)"), _at_most(4), "twice in a run"),
    Rule(_named(r"val(?:_loss)?_every", r"eval_every"), _exactly(0), "validation at the end only"),
    Rule(
        _named(r"(?:swa|ema|lawa)_(?:every|freq|interval|warmup_steps|update_every)"),
        _at_most(2),
        "often in a short run",
    ),
    Rule(_named(r"(?:ema|swa)_(?:decay|beta|momentum)"), _at_most(0.7), "averages over a short run"),
    Rule(
        _named(
            r"(?:\w+_)?(?:seq_?len|seq_length|sequence_length)",
            r"block_size",
            r"(?:max_)?context_len(?:gth)?",
            r"ctx_len",
            r"eval_len\w*",
            r"train_context\w*",
            r"yarn_max_len",
            r"prog_seq\w*_len",
            r"ttt_\w*doc_len",
        ),
        _sequence,
        "a thirty-second of the text at once",
    ),
    Rule(
        _named(r"(?:\w+_)?stride", r"eval_stride\w*"),
        lambda old: max(8, _tokens(old)) if old > 1 else old,
        "as the sequence",
    ),
    Rule(
        _named(r"\w*chunk_(?:tokens|size|len)", r"\w*chunk_seqs_tokens", r"\w*chunk"),
        lambda old: old if old < SEQUENCE // 4 else min(VALIDATION // 4, max(SEQUENCE // 4, _tokens(old))),
        "as the sequence, and several in the text",
    ),
    Rule(
        _named(
            r"window(?:_size|_len|_tokens)?",
            r"(?:\w+_)?window_(?:size|tokens)",
            r"(?:sliding|attn|attention|local|swa)_window",
            r"prefix_tokens",
            r"\w*_min_tokens",
            r"\w*warmup_tokens",
            r"local_attn\w*",
        ),
        lambda old: old if old <= SEQUENCE // 4 else _tokens(old),
        "as the sequence",
    ),
    Rule(
        _named(
            r"rope_dims?",
            r"\w*_rope_dims",
        ),
        _divided(WIDTH, 4),
        "an eighth, as the width",
    ),
    Rule(
        _named(
            r"d_model|n_embd|hidden_size|width|d_ff|bottleneck",
            r"mlp_hidden",
            r"(?:\w+_)?dim",
            r"d_\w+",
        ),
        _divided(WIDTH, 4),
        "an eighth of the width",
    ),
    Rule(_named(r"\w*_rank", r"rank_dim", r"(?:\w+_)?group_size"), _divided(WIDTH, 2), "an eighth, as the width"),
    Rule(_named(r"\w*gram_(?:vocab|size|vocab_size)"), _at_most(512), "as the text"),
    Rule(
        _named(
            r"\w*(?:bucket|hash|table|slot)s?_?(?:s|size|count|vocab_size|rows)?",
            r"\w*buckets\w*",
            r"\w*(?:cache|hash|table)_size",
        ),
        _table,
        "as many tokens share a row as on the whole text",
    ),
    Rule(
        _named(r"\w*(?:hash|bucket|table)_bits", r"\w*bits_(?:hash|buckets|table)"),
        _bits,
        "as many tokens share a row as on the whole text",
    ),
    Rule(
        _named(r"\w*keep_float\w*numel", r"\w*max_numel", r"\w*passthrough\w*numel", r"\w*numel\w*threshold", "numel"),
        lambda old: max(1, old // WIDTH**2),
        "the square of the width",
    ),
    Rule(
        _named(
            r"\w*(?:calib|calibration)\w*(?:batches|n?samples|seqs|steps)",
            r"gptq_n?_?(?:samples|batches|seqs)",
            r"(?:hessian|ar_calib|selfgen|num_calib)_\w*(?:batches|samples|seqs)",
        ),
        _at_most(2),
        "two batches",
    ),
    Rule(_named(r"(?:\w+_)?(?:batch_seqs|batch_sequences)"), _at_most(8), "several batches in a short text"),
    Rule(_named(r"(?:\w+_)?(?:batch_docs|batch_size)"), _at_most(4), "several batches in a short text"),
    Rule(_named(r"\w*(?:prefix_docs|num_docs|max_docs)"), _at_most(3), "some of the documents"),
    Rule(
        _named(
            r"(?:\w+_)?(?:ttt|slot|adapt|distill|refine|lora)\w*_(?:epochs|steps|iters|iter)",
            r"\w*(?:inner|refine)_steps",
        ),
        _at_most(3),
        "adaptation that can be waited for",
    ),
    Rule(_named(r"\w*_(?:grid_size|num_trials|n_trials|trials)"), _at_most(4), "a search that can be waited for"),
    Rule(
        _named(r"\w*(?:time_budget|budget_s|budget_sec(?:ond)?s|time_limit)\w*", r"\w*_budget"),
        _seconds,
        "two seconds of the virtual clock",
    ),
)
"""The first that matches decides."""


@functools.cache
def rule_for(name: str) -> Rule | None:
    """The rule for a name, whatever its case."""
    key = name.lower().strip("_")
    return next((rule for rule in RULES if rule.names.fullmatch(key)), None)


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
        rule = rule_for(key)
        if rule is None:
            return value
        new = rule.resize(value)
        new = type(value)(new)
        self._made.setdefault(key, set()).add(new)
        if new != value:
            self.changes.setdefault(key, Change(name, value, new, rule.reason))
        return new

    def text(self, name: str, value: str) -> str:
        """The same for a value of the environment: text that may hold a number, or lengths at points of training (``512@0.3``)."""
        if not is_number(value):
            whole = re.sub(r"_schedule$", "_len", name.lower())
            return re.sub(r"\b\d+(?=@)", lambda length: str(self.size(whole, int(length[0]))), value)
        number: Number = int(value) if _is_whole(value) else float(value)
        new = self.size(name, number)
        return value if new == number else str(new)


def is_number(text: str) -> bool:
    """Whether Python's ``int`` or ``float`` reads the text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True
