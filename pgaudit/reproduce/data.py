"""The token shards that a run reads: found, counted by their headers, the validation split hashed and its bytes counted."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgaudit.errors import TargetError
from pgaudit.reproduce.byte_total import count
from pgaudit.sandbox import Mount
from pgaudit.sandbox.box import WORK

MAGIC, VERSION, HEADER_BYTES = 20240520, 1, 1024
"""Of the challenge's token shards: 256 words of 4 bytes, the third is the number of tokens of 2 bytes that follow."""
TRAIN, VALIDATION, SIDE = "fineweb_train_*.bin", "fineweb_val_[0-9]*.bin", "fineweb_val_bytes_*.bin"
"""``SIDE`` are the byte side files: for each validation token of a transformed text its bytes, in the form of a shard."""


@dataclass(frozen=True, slots=True)
class Data:
    """The data of a run."""

    folder: Path
    tokenizer: Path | None
    train_shards: int
    train_tokens: int
    val_shards: int
    val_tokens: int
    val_sha256: str
    """Of the validation shards, one after the other, in order of their names."""
    val_bytes: int | None = None
    """Of text, by the tokenizer or by byte side files."""
    val_bytes_how: str = "nobody asked"
    """How they were counted; why not, where they are not."""
    instead: Path | None = None
    """A folder with files that the run finds in place of those of the same names."""

    @property
    def validation(self) -> list[Path]:
        """The validation shards, in order."""
        return sorted(self.folder.glob(VALIDATION))

    @property
    def side(self) -> list[Path]:
        """The byte side files, in order."""
        return sorted(self.folder.glob(SIDE))

    @property
    def inside(self) -> str:
        """Where the run finds the shards: where the challenge's checkout has them."""
        return f"{WORK}/data/datasets/{self.folder.name}"

    @property
    def tokenizer_inside(self) -> str:
        """Where the run finds the tokenizer."""
        return f"{WORK}/data/tokenizers/{self.tokenizer.name}" if self.tokenizer else ""

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What the sandbox makes readable."""
        mounts = [Mount(self.folder, self.inside)]
        swapped = sorted(self.instead.iterdir()) if self.instead else []
        mounts += [Mount(path, f"{self.inside}/{path.name}") for path in swapped]
        mounts += [Mount(self.tokenizer, self.tokenizer_inside)] if self.tokenizer else []
        return tuple(mounts)


def inspect(folder: Path, tokenizer: Path | None) -> Data:
    """Look at the data before any time is spent on it. Raises ``TargetError`` for what cannot be used."""
    folder = folder.absolute()
    if tokenizer is not None and not tokenizer.exists():
        raise TargetError(f"{tokenizer}: no such tokenizer", hint="name the SentencePiece model with --tokenizer")
    train, validation = sorted(folder.glob(TRAIN)), sorted(folder.glob(VALIDATION))
    if not train or not validation:
        raise TargetError(
            f"{folder}: no {TRAIN if not train else VALIDATION} there",
            hint="--data is the folder with the token shards (data/datasets/fineweb10B_sp1024)",
        )
    side = sorted(folder.glob(SIDE))
    try:
        tokens = [[count_tokens(path) for path in paths] for paths in (train, validation, side)]
        digest = sha256(validation)
    except OSError as error:
        raise TargetError(f"{folder}: cannot be read: {error.strerror}") from None
    if side and tokens[1] != tokens[2]:
        raise TargetError(f"{folder}: the byte side files ({SIDE}) are not as long as the validation shards")
    model = tokenizer.absolute() if tokenizer else None
    counted = count(validation, side, model)
    return Data(
        folder,
        model,
        len(train),
        sum(tokens[0]),
        len(validation),
        sum(tokens[1]),
        digest,
        counted.bytes,
        counted.how,
    )


def sha256(files: Sequence[Path]) -> str:
    """Of files, one after the other. Raises ``OSError``."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while chunk := stream.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()


def count_tokens(path: Path) -> int:
    """The number of tokens of a shard, which has to be as long as its header says. Raises ``TargetError``, ``OSError``."""
    with path.open("rb") as stream:
        header = stream.read(12)
    if len(header) < 12:
        raise TargetError(f"{path}: is no token shard: shorter than a header")
    magic, version, tokens = struct.unpack("<3i", header)
    if magic != MAGIC or version != VERSION:
        raise TargetError(f"{path}: is no token shard: it does not begin with {MAGIC} and version {VERSION}")
    if tokens < 1 or path.stat().st_size != HEADER_BYTES + 2 * tokens:
        raise TargetError(f"{path}: is cut off or damaged: {path.stat().st_size:,} bytes for {tokens:,} tokens")
    return int(tokens)
