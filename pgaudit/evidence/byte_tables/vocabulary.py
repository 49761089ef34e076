"""The sample vocabulary that byte tables are computed on, in the order of the official tokenizers, and its true bytes."""

from __future__ import annotations

from typing import Final

MARKER: Final = "\u2581"
"""SentencePiece writes a leading space as this character (three bytes in UTF-8)."""

CONTROL: Final = ("<pad>", "<s>", "</s>")
UNKNOWN: Final = "<unk>"
BYTES: Final = tuple(f"<0x{value:02X}>" for value in range(256))
WORDS: Final = ("ing", MARKER + "the", "\u00e9", MARKER, "e", MARKER + "\u0441\u0430", "0x41", "1")
"""Ordinary pieces; the spelling of a byte token without its brackets is one as well."""

PIECES: Final = (*CONTROL, UNKNOWN, *BYTES, *WORDS)
"""The official tokenizers have padding, begin, end and unknown first, then all bytes, then pieces."""

SIZE: Final = len(PIECES)

BYTE = PIECES.index("<0xE2>")
WORD = PIECES.index(MARKER + "the")
PLAIN = PIECES.index("ing")
CYRILLIC = PIECES.index(MARKER + "\u0441\u0430")
ACCENTED = PIECES.index("\u00e9")
LETTER = PIECES.index("e")
SAMPLED = (
    (PLAIN, LETTER),
    (ACCENTED, LETTER),
    (WORD, LETTER),
    (CYRILLIC, LETTER),
    (BYTE, LETTER),
    (WORD, WORD),
    (PLAIN, WORD),
)
"""Tokens that counts are compared on, each with the token before it. Control tokens are left out, as they are a thousandth of
the text, and so is a lone marker, which right tables count variously."""

TELLING = (PLAIN, LETTER)
"""Pieces that every table of byte counts has right, and that tell it from other tables by token."""

METHODS: Final = frozenset({"id_to_piece", "is_byte", "is_control", "is_unknown", "is_unused"})
SIZES: Final = frozenset({"vocab_size", "get_piece_size", "piece_size"})
SPECIAL: Final = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}


class Tokenizer:
    """Stands in for a ``SentencePieceProcessor`` of the sample vocabulary. Identifiers beyond it are ordinary pieces."""

    def call(self, method: str, token: int = 0) -> object:
        """The answer to one of ``METHODS``, ``SIZES`` or ``SPECIAL``, for one token."""
        if method in SIZES:
            return SIZE
        if method in SPECIAL:
            return SPECIAL[method]
        return {
            "id_to_piece": PIECES[token] if token < SIZE else PIECES[PLAIN],
            "is_byte": len(CONTROL) < token <= len(CONTROL) + len(BYTES),
            "is_control": token < len(CONTROL),
            "is_unknown": token == len(CONTROL),
            "is_unused": False,
        }[method]


def snake_case(name: str) -> str:
    """SentencePiece has every method under two names: ``IdToPiece`` is ``id_to_piece``."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


def official(token: int) -> int:
    """The bytes that a sampled token stands for after another one."""
    if token == BYTE:
        return 1
    piece = PIECES[token]
    return len(piece.removeprefix(MARKER).encode()) + piece.startswith(MARKER)
