"""Shards, batches, and bytes that are exactly those of the decoded text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_trainer.data import (
    Files,
    TokenStream,
    byte_table,
    encode,
    load_tokenizer,
    load_validation,
    main,
    open_shard,
    split_documents,
    train_tokenizer,
    training_tokens,
    write_data,
    write_shard,
)
from reference_trainer.distributed import Ranks
from reference_trainer.errors import BadInput
from reference_trainer.text import write_documents

ODD_DOCUMENTS = (
    "plain words",
    " leading space",
    "  two leading spaces",
    "doubled  spaces   and more    inside",
    "trailing space ",
    "tabs\tand\nnew\r\nlines\n\n\nmany",
    "emoji 🙂 with joiner 👩‍🚀 and flag 🇮🇸",
    "🙂",
    "日本語のテキスト、句読点。",
    "naïve café ﬁ ½ Ⅷ ＡＢＣ",
    "combining e\u0301 and zero\u200bwidth and nbsp\u00a0here",
    "<s> </s> <unk> <pad> <0xE2> in plain sight",
    "0123456789 3.14159 1e-7",
    "\x00\x01\x7f control characters",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    ".",
    " ",
)


def alone(rank: int = 0, world_size: int = 1) -> Ranks:
    return Ranks(rank, world_size, torch.device("cpu"))


def counted(documents: Sequence[str], tokenizer: sentencepiece.SentencePieceProcessor) -> torch.Tensor:
    tokens = torch.from_numpy(encode(documents, tokenizer).astype(np.int64))
    return byte_table(tokenizer).count(tokens)


def bytes_by_document(tokens: Sequence[int], tokenizer: sentencepiece.SentencePieceProcessor) -> int:
    """UTF-8 bytes of the decoded text, each document by itself: its BOS separates it from the one before."""
    documents: list[list[int]] = []
    for token in tokens:
        if token == tokenizer.bos_id():
            documents.append([])
        else:
            documents[-1].append(token)
    return sum(len(tokenizer.decode(document).encode()) for document in documents)


# Bytes


@pytest.mark.parametrize("document", ODD_DOCUMENTS)
def test_bytes_of_an_odd_document_are_those_of_its_text(document: str, files: Files) -> None:
    tokenizer = load_tokenizer(files.tokenizer, 512)
    assert counted([document], tokenizer).sum() == len(document.encode())
    assert counted(["before", document, "behind"], tokenizer).sum() == len(f"before{document}behind".encode())


@given(st.lists(st.text(st.characters(exclude_characters="\u2581", exclude_categories=["Cs"]), min_size=1), min_size=1))
@settings(max_examples=300)
def test_bytes_of_any_text_are_those_of_its_decoding(files: Files, documents: list[str]) -> None:
    tokenizer = load_tokenizer(files.tokenizer, 512)
    tokens = encode(documents, tokenizer).tolist()
    total = counted(documents, tokenizer).sum()
    assert total == bytes_by_document(tokens, tokenizer) == sum(len(document.encode()) for document in documents)


@pytest.fixture(
    scope="module",
    params=[{}, {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}],
    ids=["normalising", "lossless"],
)
def rich_tokenizer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> sentencepiece.SentencePieceProcessor:
    """With control and user symbols, a piece of two spaces among them; by default text is normalised and spaces are dropped."""
    path = tmp_path_factory.mktemp("rich") / "rich"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(write_documents(1, 60)),
        model_prefix=str(path),
        vocab_size=600,
        model_type="bpe",
        byte_fallback=True,
        control_symbols=["<sep>"],
        user_defined_symbols=["\u2581\u2581", "<mask>"],
        minloglevel=2,
        **request.param,
    )
    return sentencepiece.SentencePieceProcessor(model_file=f"{path}.model")


@pytest.mark.parametrize("document", ODD_DOCUMENTS)
def test_bytes_with_pieces_of_every_kind(document: str, rich_tokenizer: sentencepiece.SentencePieceProcessor) -> None:
    tokens = encode(["some words", document], rich_tokenizer).tolist()
    total = counted(["some words", document], rich_tokenizer).sum()
    assert total == bytes_by_document(tokens, rich_tokenizer)


def test_control_tokens_have_no_bytes_and_take_the_space_behind_them(
    rich_tokenizer: sentencepiece.SentencePieceProcessor,
) -> None:
    word = rich_tokenizer.encode("river", out_type=str)
    assert word[0].startswith("\u2581")
    first = rich_tokenizer.piece_to_id(word[0])
    separator, bos = rich_tokenizer.piece_to_id("<sep>"), rich_tokenizer.bos_id()
    plain = rich_tokenizer.piece_to_id("e")
    table = byte_table(rich_tokenizer)
    tokens = torch.tensor([bos, first, first, separator, first, bos, separator, plain, first])
    letters = len(word[0]) - 1
    assert table.count(tokens).tolist() == [0, letters, letters + 1, 0, letters, 0, 0, 1, letters + 1]


def test_byte_tokens_count_one_each(files: Files) -> None:
    tokenizer = load_tokenizer(files.tokenizer, 512)
    pieces = tokenizer.encode("\u16a0", out_type=str)  # a rune that no piece holds
    assert pieces[-3:] == ["<0xE1>", "<0x9A>", "<0xA0>"]
    assert counted(["\u16a0"], tokenizer)[-3:].tolist() == [1, 1, 1]


def test_validation_bytes_are_those_of_the_original_text(files: Files) -> None:
    held_out = write_documents(0, 120)[:24]
    text = load_validation(files, 512, 128)
    assert text.bytes[1:].sum() == sum(len(document.encode()) for document in held_out)


def test_a_sidecar_states_the_bytes(files: Files, tmp_path: Path) -> None:
    tokens = open_shard(next(files.data.glob("fineweb_val_*.bin")))
    write_shard(tmp_path / "fineweb_val_000000.bin", tokens)
    write_shard(tmp_path / "fineweb_val_bytes_000000.bin", [3] * len(tokens))
    text = load_validation(Files(tmp_path, files.tokenizer), 512, 128)
    assert len(text.tokens) == len(tokens)
    assert text.bytes.unique().tolist() == [3]


def test_a_sidecar_of_another_length_is_refused(files: Files, tmp_path: Path) -> None:
    tokens = open_shard(next(files.data.glob("fineweb_val_*.bin")))
    write_shard(tmp_path / "fineweb_val_000000.bin", tokens)
    write_shard(tmp_path / "fineweb_val_bytes_000000.bin", [3] * (len(tokens) - 1))
    with pytest.raises(BadInput, match=rf"{len(tokens) - 1} entries for {len(tokens)} tokens"):
        load_validation(Files(tmp_path, files.tokenizer), 512, 128)


# Bad input


def test_no_shards(tmp_path: Path, files: Files) -> None:
    with pytest.raises(BadInput, match=r"no shards .*fineweb_val_"):
        load_validation(Files(tmp_path, files.tokenizer), 512, 128)
    with pytest.raises(BadInput, match=r"no shards .*fineweb_train_"):
        TokenStream(tmp_path, 512, alone())


def test_a_shard_with_another_magic_number(tmp_path: Path) -> None:
    path = tmp_path / "shard.bin"
    write_shard(path, [1, 2, 3])
    path.write_bytes(b"\x00" + path.read_bytes()[1:])
    with pytest.raises(BadInput, match="is not a token shard"):
        open_shard(path)


@pytest.mark.parametrize("size", [0, 500, 1024 + 4])
def test_a_shard_that_is_cut_off(tmp_path: Path, size: int) -> None:
    path = tmp_path / "shard.bin"
    write_shard(path, [1, 2, 3])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadInput, match=r"is not a token shard|is cut off"):
        open_shard(path)


def test_an_empty_shard(tmp_path: Path) -> None:
    write_shard(tmp_path / "shard.bin", [])
    with pytest.raises(BadInput, match="0 tokens"):
        open_shard(tmp_path / "shard.bin")


def test_a_tokenizer_of_another_size(files: Files) -> None:
    with pytest.raises(BadInput, match=r"512 pieces, the preset's vocabulary 1024"):
        load_validation(files, 1024, 128)


def test_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "fineweb_512_bpe.model"
    with pytest.raises(BadInput, match="no SentencePiece model"):
        load_tokenizer(path, 512)
    path.write_bytes(b"not a model")
    with pytest.raises(BadInput, match="no SentencePiece model"):
        load_tokenizer(path, 512)


def test_tokens_beyond_the_vocabulary(tmp_path: Path, files: Files) -> None:
    write_shard(tmp_path / "fineweb_train_000000.bin", [1, 600] * 100)
    write_shard(tmp_path / "fineweb_val_000000.bin", [1, 600] * 100)
    with pytest.raises(BadInput, match="token 600"):
        TokenStream(tmp_path, 512, alone()).next_batch(2, 4)
    with pytest.raises(BadInput, match="token 600"):
        load_validation(Files(tmp_path, files.tokenizer), 512, 128)


@pytest.mark.parametrize("tokens", [1, 128])
def test_a_validation_split_below_one_window(tmp_path: Path, files: Files, tokens: int) -> None:
    write_shard(tmp_path / "fineweb_val_000000.bin", [1] + [300] * (tokens - 1))
    with pytest.raises(BadInput, match=rf"{tokens} validation tokens .* one window takes 129"):
        load_validation(Files(tmp_path, files.tokenizer), 512, 128)


def test_a_validation_split_without_text(tmp_path: Path, files: Files) -> None:
    write_shard(tmp_path / "fineweb_val_000000.bin", [1] * 200)
    with pytest.raises(BadInput, match="stand for no text"):
        load_validation(Files(tmp_path, files.tokenizer), 512, 128)


# Shards and batches


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=50))
def test_a_shard_holds_what_was_written(tmp_path_factory: pytest.TempPathFactory, tokens: list[int]) -> None:
    path = tmp_path_factory.mktemp("shard") / "shard.bin"
    write_shard(path, tokens)
    assert open_shard(path).tolist() == tokens
    assert np.fromfile(path, "<i4", 3).tolist() == [20240520, 1, len(tokens)]
    assert path.stat().st_size == 1024 + 2 * len(tokens)


@pytest.fixture
def three_shards(tmp_path: Path) -> Path:
    """Tokens 0, 1, 2, ... 99 in shards of 40, 3 and 57."""
    for number, part in enumerate((range(40), range(40, 43), range(43, 100))):
        write_shard(tmp_path / f"fineweb_train_{number:06d}.bin", list(part))
    return tmp_path


def test_batches_run_through_all_shards_and_begin_again(three_shards: Path) -> None:
    stream = TokenStream(three_shards, 100, alone())
    read = []
    for _ in range(22):
        inputs, targets = stream.next_batch(2, 4)
        assert inputs.shape == targets.shape == (2, 4)
        assert (targets.flatten() == (inputs.flatten() + 1) % 100).all()
        read += [*inputs.flatten().tolist(), targets.flatten()[-1].item()]
    assert read == [number % 100 for number in range(22 * 9)]


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_the_global_batch_does_not_depend_on_the_ranks(three_shards: Path, world_size: int) -> None:
    """Eight parts of a batch, taken by one rank after the other or by several at once."""
    one = TokenStream(three_shards, 100, alone())
    wanted = [one.next_batch(1, 5)[0] for _ in range(8)]
    streams = [TokenStream(three_shards, 100, alone(rank, world_size)) for rank in range(world_size)]
    shared = [stream.next_batch(1, 5)[0] for _ in range(8 // world_size) for stream in streams]
    assert torch.equal(torch.stack(wanted), torch.stack(shared))


@pytest.mark.parametrize("at_most", [1, 40, 41, 100, 1000])
def test_counts_are_taken_on_the_first_training_tokens(three_shards: Path, at_most: int) -> None:
    assert training_tokens(three_shards, at_most, 100).tolist() == list(range(min(at_most, 100)))


def test_counted_tokens_are_of_the_vocabulary(three_shards: Path) -> None:
    assert len(training_tokens(three_shards, 50, 50)) == 50  # what lies behind them is not looked at
    with pytest.raises(BadInput, match=f"token 50 in {three_shards}, but the vocabulary has 50"):
        training_tokens(three_shards, 51, 50)


# From plain text


def test_documents_are_separated_by_blank_lines() -> None:
    assert split_documents("one\ntwo\n\nthree\n\n\n\nfour\n") == ["one\ntwo", "three", "four"]


def test_every_document_begins_with_bos(files: Files) -> None:
    tokens = open_shard(next(files.data.glob("fineweb_train_*.bin")))
    assert tokens[0] == 1
    assert (tokens == 1).sum() == 96


def test_data_from_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("\n\n".join(write_documents(0, 60)), "utf-8")
    arguments = ["data", str(tmp_path / "text.txt"), "--out", str(tmp_path / "out"), "--vocabulary", "400"]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 0
    printed = dict(line.split("=") for line in capsys.readouterr().out.splitlines())
    text = load_validation(Files(Path(printed["DATA_PATH"]), Path(printed["TOKENIZER_PATH"])), 400, 128)
    assert (text.tokens == 1).sum() == 3  # five of a hundred documents


@pytest.mark.parametrize("text", ["", "a single document", "too short\n\nfor a tokenizer"])
def test_text_that_is_too_short(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text(text, "utf-8")
    monkeypatch.setattr("sys.argv", ["data", str(tmp_path / "text.txt"), "--out", str(tmp_path / "out")])
    assert main() == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_tokenizer_is_reproducible(tmp_path: Path) -> None:
    documents = write_documents(0, 60)
    for name in ("one", "two"):
        train_tokenizer(documents, 400, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_data_of_one_vocabulary_beside_another(tmp_path: Path) -> None:
    documents = write_documents(0, 60)
    small, large = write_data(documents, 400, tmp_path, 0.1), write_data(documents, 450, tmp_path, 0.1)
    assert load_tokenizer(small.tokenizer, 400).vocab_size() < load_tokenizer(large.tokenizer, 450).vocab_size()
