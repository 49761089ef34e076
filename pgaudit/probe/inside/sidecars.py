"""Files beside the shards that some submissions expect: the bytes of every token, and the data under other names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pgaudit.probe.text import HEADER_WORDS, SPACE, write_shard

BYTES = "val_bytes"
_DATASET = re.compile(r"fineweb10B_sp[\w]+")
_TOKENIZER = re.compile(r"fineweb[\w.-]*\.model")


def write(folder: Path, source: str) -> None:
    """Whatever of them the source mentions."""
    shards = next(folder.glob("data/datasets/*/fineweb_val_000000.bin"))
    model = next(folder.glob("data/tokenizers/*.model"))
    if BYTES in source:
        tokens = np.fromfile(shards, dtype="<u2", offset=4 * HEADER_WORDS)
        write_shard(shards.with_name("fineweb_val_bytes_000000.bin"), _token_bytes(tokens, model))
    for found, pattern in ((shards.parent, _DATASET), (model, _TOKENIZER)):
        for name in set(pattern.findall(source)):
            other = found.with_name(name)
            if not other.exists():
                other.symlink_to(found.name)


def _token_bytes(tokens: np.ndarray, model: Path) -> np.ndarray:
    """Bytes of the text of every token; the space before a word does not count after a boundary."""
    import sentencepiece

    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(model))
    found, after_boundary = np.zeros(len(tokens), np.uint16), True
    for place, token in enumerate(tokens.tolist()):
        if tokenizer.IsControl(token) or tokenizer.IsUnknown(token) or tokenizer.IsUnused(token):
            after_boundary = True
            continue
        piece = tokenizer.IdToPiece(token)
        spaced = piece.startswith(SPACE)
        length = 1 if tokenizer.IsByte(token) else len(piece.removeprefix(SPACE).encode())
        found[place] = length + (spaced and not after_boundary)
        after_boundary = False
    return found
