"""The synthetic text of the probe, as shards and tokenizer under the challenge's names.

Phrases repeat, so that n-gram caches hit; documents begin with the tokenizer's BOS; the largest token id occurs.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pgaudit.probe.shrink import VALIDATION

Tokens = NDArray[np.uint16]

DOCUMENT = 120
"""Words of a document."""
PHRASES, PHRASE = 40, 6
TRAINING = 20_000
"""Tokens to train on, in two shards."""
SPACE = "▁"
"""How the tokenizer writes the space before a word."""
HEADER_WORDS, MAGIC, VERSION = 256, 20240520, 1


class NoText(Exception):
    """No tokenizer of the size that the script expects can be made, or none at all."""


@dataclass(frozen=True)
class Text:
    """One synthetic text: what is trained on, what is scored, and the tokenizer."""

    vocabulary: int
    model: bytes
    training: Tokens
    validation: Tokens
    """``VALIDATION + 1`` tokens: every one but the first is scored."""
    bytes: int
    """Of the scored tokens."""


def make(vocabulary: int) -> Text:
    """The text for a vocabulary; the same in every call."""
    try:
        from reference_trainer.data import encode, train_tokenizer
        from reference_trainer.errors import BadInput
        from reference_trainer.speed import synthetic_documents
    except ImportError as missing:
        raise NoText(f"{missing.name} is not installed: the extra `probe` brings it") from None
    path = cached_tokenizer(vocabulary)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder, path.name)
            try:
                train_tokenizer(synthetic_documents(vocabulary), vocabulary, made)
            except BadInput as problem:
                raise NoText(str(problem)) from None
            made.replace(path)  # whole or not at all: another probe may look for it now
    import sentencepiece

    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(path))
    draw = random.Random(vocabulary)
    words = sorted({word for document in synthetic_documents(vocabulary)[:50] for word in document.split()})
    phrases = [draw.choices(words, k=PHRASE) for _ in range(PHRASES)]
    weights = [1 / rank for rank in range(1, PHRASES + 1)]

    def tokens(count: int) -> Tokens:
        parts, length = list[Tokens](), 0
        while length < count:
            chosen = draw.choices(phrases, weights, k=DOCUMENT // PHRASE)
            parts.append(encode([" ".join(word for phrase in chosen for word in phrase)], tokenizer))
            length += len(parts[-1])
        found = np.concatenate(parts)[:count]
        found[count // 3] = vocabulary - 1
        return found

    training, validation = tokens(TRAINING), tokens(VALIDATION + 1)
    return Text(vocabulary, path.read_bytes(), training, validation, _bytes(validation, path))


def _bytes(validation: Tokens, tokenizer: Path) -> int:
    from pgaudit.reproduce.byte_total import count

    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder, "shard.bin")
        write_shard(shard, validation)
        counted = count([shard], [], tokenizer).bytes
    assert counted is not None
    return counted


def cached_tokenizer(vocabulary: int) -> Path:
    """Where the tokenizer of a vocabulary is kept between runs."""
    root = Path(os.environ.get("PGAUDIT_CACHE_DIR") or Path.home() / ".cache" / "pgaudit")
    return root / "probe" / f"tokenizer_{vocabulary}.model"


def write(text: Text, validation: Tokens, folder: Path) -> dict[str, str]:
    """The data below a folder, with another validation text; returns the variables that point there."""
    name = f"fineweb10B_sp{text.vocabulary}"
    shards = folder / "data" / "datasets" / name
    tokenizer = folder / "data" / "tokenizers" / f"fineweb_{text.vocabulary}_bpe.model"
    shards.mkdir(parents=True, exist_ok=True)
    tokenizer.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.write_bytes(text.model)
    half = len(text.training) // 2
    write_shard(shards / "fineweb_train_000000.bin", text.training[:half])
    write_shard(shards / "fineweb_train_000001.bin", text.training[half:])
    write_shard(shards / "fineweb_val_000000.bin", validation)
    inside = {"DATA_PATH": shards, "TOKENIZER_PATH": tokenizer, "DATA_DIR": folder / "data"}
    return {variable: f"./{path.relative_to(folder)}" for variable, path in inside.items()}


def write_shard(path: Path, tokens: Sequence[int] | Tokens) -> None:
    """A file in the challenge's format: a header of 256 words, then the tokens as 16-bit numbers."""
    header = np.zeros(HEADER_WORDS, dtype="<i4")
    header[:3] = MAGIC, VERSION, len(tokens)
    path.write_bytes(header.tobytes() + np.asarray(tokens, dtype="<u2").tobytes())
