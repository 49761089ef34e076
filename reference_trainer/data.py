"""Tokens: binary shards, the SentencePiece tokenizer, the bytes that each token stands for, and the stream of training batches.

A shard has a header of 256 little-endian int32 (magic number, version, number of tokens), then its tokens as uint16. One folder
holds `fineweb_train_*.bin` and `fineweb_val_*.bin`; every document begins with BOS. A sidecar `fineweb_val_bytes_*.bin` of the same
shape may state the bytes of each validation token, for tokenizers whose pieces do not show them.

`python -m reference_trainer.data TEXT... --out FOLDER` makes a tokenizer and shards from plain text.
"""

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece
import torch
import torch.nn.functional as F
from torch import Tensor

from reference_trainer.distributed import Ranks
from reference_trainer.errors import BadInput

SHARD_MAGIC, SHARD_VERSION, HEADER_WORDS = 20240520, 1, 256
HEADER_BYTES = 4 * HEADER_WORDS
SHARD_TOKENS = 100_000_000
BLANK = "\u2581"  # how SentencePiece writes a space

TokenArray = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Files:
    """Where the tokens of a run are."""

    data: Path  # the folder with the shards
    tokenizer: Path  # the SentencePiece model that made them


# Shards


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The shards of `train`, `val` or `val_bytes`, in order."""
    return sorted(folder.glob(f"fineweb_{split}_[0-9]*.bin"))


def required_shards(folder: Path, split: str) -> list[Path]:
    paths = shard_paths(folder, split)
    if not paths:
        raise BadInput(f"no shards {folder}/fineweb_{split}_*.bin")
    return paths


def open_shard(path: Path) -> TokenArray:
    """The tokens of a shard, read from the disk as they are used."""
    header = np.fromfile(path, dtype="<i4", count=HEADER_WORDS)
    if len(header) < HEADER_WORDS or header[0] != SHARD_MAGIC or header[1] != SHARD_VERSION:
        raise BadInput(f"{path} is not a token shard: it does not begin with {SHARD_MAGIC} and version {SHARD_VERSION}")
    tokens, size = int(header[2]), path.stat().st_size
    if size != HEADER_BYTES + 2 * tokens or tokens == 0:
        raise BadInput(
            f"{path} is cut off or damaged: {size} bytes for {tokens} tokens of 2 bytes and {HEADER_BYTES} bytes of header"
        )
    return np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(tokens,))


def write_shard(path: Path, tokens: Sequence[int] | TokenArray) -> None:
    header = np.zeros(HEADER_WORDS, dtype="<i4")
    header[:3] = SHARD_MAGIC, SHARD_VERSION, len(tokens)
    path.write_bytes(header.tobytes() + np.asarray(tokens, dtype="<u2").tobytes())


def read_tokens(paths: Sequence[Path]) -> Tensor:
    """All tokens of the given shards, (n,) int64 on the CPU."""
    return torch.from_numpy(np.concatenate([open_shard(path) for path in paths]).astype(np.int64))


def refuse_unknown(tokens: TokenArray, vocabulary: int, folder: Path) -> None:
    if tokens.max() >= vocabulary:
        raise BadInput(f"token {tokens.max()} in {folder}, but the vocabulary has {vocabulary}")


def training_tokens(folder: Path, at_most: int, vocabulary: int) -> TokenArray:
    """The first training tokens, for counts: all below `vocabulary`."""
    parts, missing = [], at_most
    for path in required_shards(folder, "train"):
        parts.append(open_shard(path)[:missing])
        missing -= len(parts[-1])
        if missing == 0:
            break
    tokens = np.concatenate(parts)
    refuse_unknown(tokens, vocabulary, folder)
    return tokens


class TokenStream:
    """Training batches from the shards in order, over and over. Each rank reads its own part of every global batch."""

    def __init__(self, folder: Path, vocabulary: int, ranks: Ranks) -> None:
        self.paths = required_shards(folder, "train")
        self.vocabulary = vocabulary
        self.ranks = ranks
        self.shard = 0
        self.position = 0
        self.tokens = open_shard(self.paths[0])

    def next_batch(self, sequences: int, length: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, (sequences, length) each."""
        share = sequences * length + 1  # the last token is only a target
        tokens = self._take(self.ranks.world_size * share)[self.ranks.rank * share :][:share]
        refuse_unknown(tokens, self.vocabulary, self.paths[0].parent)
        own = torch.from_numpy(tokens.astype(np.int64)).to(self.ranks.device)
        return own[:-1].view(sequences, length), own[1:].view(sequences, length)

    def _take(self, count: int) -> TokenArray:
        """The next tokens, across the ends of shards."""
        parts: list[TokenArray] = []
        while count:
            part = self.tokens[self.position : self.position + count]
            parts.append(part)
            count -= len(part)
            self.position += len(part)
            if self.position == len(self.tokens):
                self.shard = (self.shard + 1) % len(self.paths)
                self.tokens, self.position = open_shard(self.paths[self.shard]), 0
        return np.concatenate(parts)


# Tokenizer and bytes


def load_tokenizer(path: Path, vocabulary: int) -> sentencepiece.SentencePieceProcessor:
    """The tokenizer, which has to be of the preset's size."""
    try:
        tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as problem:
        raise BadInput(f"{path} is no SentencePiece model") from problem
    if tokenizer.vocab_size() != vocabulary:
        raise BadInput(f"{path} has {tokenizer.vocab_size()} pieces, the preset's vocabulary {vocabulary}")
    return tokenizer


@dataclass(frozen=True)
class ByteTable:
    """How many bytes of UTF-8 each token stands for, (vocabulary,) each."""

    sizes: Tensor  # without the space that a piece may begin with
    spaces: Tensor  # does it begin with one?
    boundaries: Tensor  # has it no text at all, so that the decoder drops the space of the piece behind it?

    def count(self, tokens: Tensor) -> Tensor:
        """Bytes of each token of a text (n,) after the one before it; the first is never scored and has none."""
        targets, previous = tokens[1:], tokens[:-1]
        counted = self.sizes[targets] + (self.spaces[targets] & ~self.boundaries[previous])
        return F.pad(counted, (1, 0))


def byte_table(tokenizer: sentencepiece.SentencePieceProcessor) -> ByteTable:
    vocabulary = tokenizer.vocab_size()
    sizes = torch.zeros(vocabulary, dtype=torch.int64)
    spaces = torch.zeros(vocabulary, dtype=torch.bool)
    boundaries = torch.zeros(vocabulary, dtype=torch.bool)
    for token in range(vocabulary):
        if tokenizer.is_control(token) or tokenizer.is_unknown(token) or tokenizer.is_unused(token):
            boundaries[token] = True
        elif tokenizer.is_byte(token):
            sizes[token] = 1
        else:
            piece = tokenizer.id_to_piece(token)
            spaces[token] = piece.startswith(BLANK)
            sizes[token] = len(piece.removeprefix(BLANK).replace(BLANK, " ").encode())
    return ByteTable(sizes, spaces, boundaries)


@dataclass(frozen=True)
class ValidationText:
    """The text that is scored: every token but the first, once."""

    tokens: Tensor  # (n,) int64
    bytes: Tensor  # (n,) int64: the bytes that each token stands for where it is


def load_validation(files: Files, vocabulary: int, sequence: int) -> ValidationText:
    """The whole validation split with its bytes, on the CPU. It has to fill one window of `sequence` tokens."""
    tokenizer = load_tokenizer(files.tokenizer, vocabulary)
    tokens = read_tokens(required_shards(files.data, "val"))
    if tokens.max() >= vocabulary:
        raise BadInput(f"validation token {tokens.max().item()} in {files.data}, but the vocabulary has {vocabulary}")
    if len(tokens) <= sequence:
        raise BadInput(f"{len(tokens)} validation tokens in {files.data}, one window takes {sequence + 1}")
    sidecar = shard_paths(files.data, "val_bytes")
    counted = read_tokens(sidecar) if sidecar else byte_table(tokenizer).count(tokens)
    if len(counted) != len(tokens):
        raise BadInput(f"the byte sidecar in {files.data} has {len(counted)} entries for {len(tokens)} tokens")
    if counted[1:].sum() == 0:
        raise BadInput(f"the validation tokens in {files.data} stand for no text")
    return ValidationText(tokens, counted)


# From plain text


def split_documents(text: str) -> list[str]:
    """Documents are separated by blank lines."""
    return [document for part in text.split("\n\n") if (document := part.strip("\n"))]


def train_tokenizer(documents: Sequence[str], vocabulary: int, path: Path) -> sentencepiece.SentencePieceProcessor:
    """A BPE tokenizer with byte fallback that loses nothing: no normalisation, no dropped spaces."""
    model = io.BytesIO()
    lines = [line for document in documents for line in document.split("\n") if line]
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocabulary,
            byte_fallback=True,
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as problem:
        raise BadInput(f"no tokenizer of {vocabulary} pieces from {len(lines)} lines: {problem}") from problem
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())
    return load_tokenizer(path, vocabulary)


def encode(documents: Sequence[str], tokenizer: sentencepiece.SentencePieceProcessor) -> TokenArray:
    """All documents in a row, each after a BOS."""
    return np.array(
        [token for ids in tokenizer.encode(list(documents), add_bos=True) for token in ids], dtype=np.uint16
    )


def write_data(documents: Sequence[str], vocabulary: int, folder: Path, validation: float) -> Files:
    """Tokenizer and shards under the challenge's names; the first documents are the validation split."""
    held_out = max(1, round(validation * len(documents)))
    if held_out >= len(documents):
        raise BadInput(f"{len(documents)} documents, {held_out} of them for validation: none is left for training")
    files = default_files(folder, vocabulary)
    tokenizer = train_tokenizer(documents[held_out:], vocabulary, files.tokenizer)
    files.data.mkdir(parents=True, exist_ok=True)
    for split, part in (("val", documents[:held_out]), ("train", documents[held_out:])):
        tokens = encode(part, tokenizer)
        for number, start in enumerate(range(0, len(tokens), SHARD_TOKENS)):
            write_shard(files.data / f"fineweb_{split}_{number:06d}.bin", tokens[start : start + SHARD_TOKENS])
    return files


def default_files(folder: Path, vocabulary: int) -> Files:
    """Where the challenge keeps the FineWeb export of a vocabulary, below the folder `data` of its checkout."""
    return Files(
        folder / "datasets" / f"fineweb10B_sp{vocabulary}", folder / "tokenizers" / f"fineweb_{vocabulary}_bpe.model"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes a tokenizer and token shards from plain text.")
    parser.add_argument("texts", nargs="+", type=Path, help="UTF-8 files; documents are separated by blank lines")
    parser.add_argument("--out", type=Path, default=Path("data"), help="gets datasets/ and tokenizers/ (default: data)")
    parser.add_argument("--vocabulary", type=int, default=1024)
    parser.add_argument(
        "--validation", type=float, default=0.05, help="part of the documents, first ones (default: 0.05)"
    )
    options = parser.parse_args()
    try:
        documents = [document for path in options.texts for document in split_documents(path.read_text("utf-8"))]
        files = write_data(documents, options.vocabulary, options.out, options.validation)
    except (BadInput, OSError, UnicodeDecodeError) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(f"DATA_PATH={files.data}\nTOKENIZER_PATH={files.tokenizer}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
