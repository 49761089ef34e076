"""The bytes of text that tokens stand for, by the pieces of their tokenizer.

The rule is the challenge's: a byte token is one byte, a control token none, any other piece its UTF-8 bytes, of which a leading
space (U+2581) counts only where the token before it is no control token. The first token is never scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

    from pgaudit.reproduce.shards import Text

BLANK = "\u2581"
"""How SentencePiece writes a space."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The bytes of a text, or why they are not known."""

    bytes: int | None
    how: str
    """Where the count comes from; without a count, why there is none."""


def count(shards: Sequence[Path], side: Sequence[Path], tokenizer: Path | None) -> Counted:
    """Count the bytes of the text of token shards; the byte side files of transformed text state them themselves."""
    if not side and tokenizer is None:
        return Counted(None, "no tokenizer is named")
    try:
        from pgaudit.reproduce.shards import Text

        if side:
            return Counted(sum(int(piece.sum()) for piece in Text(side).pieces(1)), "by the byte side files")
        from sentencepiece import SentencePieceProcessor
    except ImportError as missing:
        return Counted(None, f"{missing.name} is not installed")
    try:
        pieces = SentencePieceProcessor(model_file=str(tokenizer))
    except (OSError, RuntimeError):
        return Counted(None, "the tokenizer is no SentencePiece model")
    return _by_pieces(Text(shards), pieces)


def _by_pieces(text: Text, tokenizer: SentencePieceProcessor) -> Counted:
    import numpy as np

    vocabulary = tokenizer.vocab_size()
    sizes = np.zeros(vocabulary, np.int64)  # without the leading space
    spaces, controls = np.zeros(vocabulary, bool), np.zeros(vocabulary, bool)
    for token in range(vocabulary):
        if tokenizer.is_control(token) or tokenizer.is_unknown(token) or tokenizer.is_unused(token):
            controls[token] = True
        elif tokenizer.is_byte(token):
            sizes[token] = 1
        else:
            piece = tokenizer.id_to_piece(token)
            spaces[token] = piece.startswith(BLANK)
            sizes[token] = len(piece.removeprefix(BLANK).replace(BLANK, " ").encode())
    total, before = 0, None
    for tokens in text.pieces():
        if (most := int(tokens.max())) >= vocabulary:
            return Counted(None, f"token {most} is none of the tokenizer's {vocabulary:,} pieces")
        targets = tokens if before is not None else tokens[1:]
        previous = tokens[:-1] if before is None else np.concatenate(([before], tokens[:-1]))
        total += int(sizes[targets].sum()) + int((spaces[targets] & ~controls[previous]).sum())
        before = tokens[-1]
    return Counted(total, "by the pieces of the tokenizer")
