"""Other inputs for the same code: a held-out text or the documents in another order, in place of the validation shards.

A submission trains and scores in one script, so that each is one more run of a seed. What is written has the names, the format
and the number of shards of the official text, and never more tokens: evaluation takes no longer, and adapting to the text as it
is scored (which is legal) has as much to learn from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pgaudit.errors import TargetError
from pgaudit.reproduce.data import TRAIN, Data, count_tokens, sha256

if TYPE_CHECKING:
    from pgaudit.reproduce.shards import Text, Tokens

BOS = 1
"""Begins each document in the challenge's shards; taken where no SentencePiece model says otherwise."""
ORDER = 0
"""Seed of the other order, so that it is the same in every run."""
SAME = 4096
"""Tokens by which a shard is recognised: no two documents of the web begin with as many of the same."""
ANOTHER_LANGUAGE = 0.05
"""Jensen-Shannon divergence of token frequencies, nats: no sample of one distribution is so far from another of the size of a
shard, while another language or another tokenizer is several times as far."""
EXTRA = "pip install 'pgaudit[reproduce]'"


class Input(StrEnum):
    """What a run of a seed is given."""

    OFFICIAL = "official"
    SWAPPED = "swapped"
    """A held-out text in place of the validation text."""
    SHUFFLED = "shuffled"
    """The documents of the validation text in another order."""
    AGAIN = "again"
    """The official input once more."""


@dataclass(frozen=True, slots=True)
class Swap:
    """One more run of the first seed."""

    input: Input
    tokens: int = 0
    """Of the text that the run scores; 0 for the official one."""
    shard: Path | None = None
    sha256: str = ""
    """Of ``shard``."""
    divergence: float = 0.0
    """How far its token frequencies are from those of the official text (Jensen-Shannon, nats)."""
    documents: int = 0
    bos: int = BOS

    @property
    def name(self) -> str:
        """Of the folders of its run."""
        return f"{self.input.value}-{self.sha256[:8]}" if self.sha256 else self.input.value

    def describe(self) -> str:
        """What the run is given, in words."""
        match self.input:
            case Input.SWAPPED:
                return f"{self.shard}, {self.tokens:,} tokens, sha256 {self.sha256}, in place of the validation text"
            case Input.SHUFFLED:
                return f"the {self.documents:,} documents of the validation text in another order"
            case _:
                return "the same input once more"

    def data(self, official: Data | None, folder: Path) -> Data | None:
        """The data of the run; what differs from the official ones is written to ``folder``. Raises ``OSError``."""
        if official is None or self.input in (Input.OFFICIAL, Input.AGAIN):
            return official
        from pgaudit.reproduce.shards import Text, write

        folder.mkdir(parents=True, exist_ok=True)
        sizes = [(path, count_tokens(path)) for path in official.validation]
        if self.shard:
            ends = [0]
            for _, tokens in sizes:
                ends.append(ends[-1] + tokens)
            ends = [round(end * self.tokens / official.val_tokens) for end in ends]
            parts = [(folder / path.name, stop - start) for (path, _), (start, stop) in zip(sizes, pairwise(ends), strict=True)]  # fmt: skip
            write(Text([self.shard]).pieces(0, self.tokens), parts)
        else:
            starts = Text(official.validation).places(self.bos)
            for paths in filter(None, (official.validation, official.side)):
                counted = [(folder / path.name, tokens) for path, (_, tokens) in zip(paths, sizes, strict=True)]
                write(_in_another_order(Text(paths), starts), counted)
        for path in folder.iterdir():
            path.chmod(0o644)  # the program may run under another user
        return replace(official, instead=folder.absolute())


def held_out(data: Data, shard: Path) -> Swap:
    """The swap for a held-out shard. Raises ``TargetError`` for one that cannot stand in place of the official text."""
    text, given = _text_type(), shard.absolute()
    if data.side:
        raise TargetError(
            f"{data.folder} has byte side files: a run on another text needs those of that text, which nobody can compute here"
        )
    try:
        tokens, digest = count_tokens(given), sha256([given])
    except OSError as error:
        raise TargetError(f"{shard}: cannot be read: {error.strerror}", "see --swap-val") from None
    other, official = text([given]), text(data.validation)
    for path in (*data.validation, *sorted(data.folder.glob(TRAIN))):
        if _begins(other) == _begins(text([path])):
            raise TargetError(
                f"{shard} begins as {path.name} of --data does: it is not held out",
                hint="name a shard that neither training nor the official validation reads",
            )
    from pgaudit.reproduce.shards import divergence

    used = min(tokens, data.val_tokens)
    if used < data.val_shards:
        raise TargetError(f"{shard}: {used} tokens are too few for {data.val_shards} validation shards")
    distance = divergence(other.counts(used), official.counts())
    if distance > ANOTHER_LANGUAGE:
        raise TargetError(
            f"{shard} is no text like the official one: its token frequencies are {distance:.2f} nats from it",
            hint="it has to be of the same tokenizer and the same source; a longer one is nearer",
        )
    return Swap(Input.SWAPPED, used, given, digest, distance)


def shuffled(data: Data) -> Swap:
    """The swap for another order of the documents. Raises ``TargetError`` where no documents can be told apart."""
    bos = _bos(data)
    starts = _text_type()(data.validation).places(bos)
    if len(starts) < 2 or starts[0] != 0:
        raise TargetError(
            f"{data.folder}: the documents of the validation text cannot be told apart: "
            f"{len(starts)} begin with token {bos}" + ("" if len(starts) < 2 else ", the first of all not"),
            hint="every document has to begin with the tokenizer's BOS",
        )
    return Swap(Input.SHUFFLED, data.val_tokens, documents=len(starts), bos=bos)


def _bos(data: Data) -> int:
    try:
        from sentencepiece import SentencePieceProcessor

        return int(SentencePieceProcessor(model_file=str(data.tokenizer)).bos_id()) if data.tokenizer else BOS
    except (ImportError, OSError, RuntimeError):
        return BOS


def _in_another_order(text: Text, starts: list[int]) -> Iterator[Tokens]:
    documents = list(pairwise((*starts, text.tokens)))
    draw = random.Random(ORDER)
    for _, start, stop in sorted((draw.random(), *document) for document in documents):
        yield from text.pieces(start, stop)


def _begins(text: Text) -> list[int]:
    return [token for piece in text.pieces(0, SAME) for token in piece.tolist()]


def _text_type() -> type[Text]:
    try:
        from pgaudit.reproduce.shards import Text as Found
    except ImportError as missing:
        raise TargetError(f"another input cannot be made: {missing.name} is not installed", EXTRA) from None
    return Found
