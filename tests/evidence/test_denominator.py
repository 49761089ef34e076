"""The denominator: bytes from tokens, loss and bpb."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.evidence.denominator import (
    BUGS,
    OFFICIAL_BYTES,
    TOKENS_PER_BYTE,
    TOLERANCE,
    Bytes,
    evaluations,
    expected_tokens_per_byte,
    likely_bug,
    shown_bytes,
)
from pgaudit.evidence.logs import Log, read_log
from pgaudit.submission import File


def log_of(text: str) -> Log:
    return read_log(File("train.log", len(text), text.encode))


@given(st.sampled_from(sorted(TOKENS_PER_BYTE.values())), st.floats(0.3, 4.0), st.sampled_from([4, 6, 8]))
def test_a_correct_evaluation_gives_the_bytes_of_the_text_for_every_tokenizer(
    ratio: float, bpb: float, decimals: int
) -> None:
    tokens = round(OFFICIAL_BYTES * ratio)
    loss = bpb * math.log(2) / ratio
    (pair,) = evaluations(
        log_of(f"val_tokens:{tokens}\nfinal val_loss:{loss:.{decimals}f} val_bpb:{bpb:.{decimals}f}\n")
    )
    assert pair.bytes is not None
    assert abs(pair.bytes / OFFICIAL_BYTES - 1) <= pair.slack * 1.01 + 1e-6
    assert pair.slack < TOLERANCE


def test_scores_taken_during_training_count_only_without_another() -> None:
    step = "step:9/9 val_loss:2.0 val_bpb:1.2\n"
    assert [pair.metric.step for pair in evaluations(log_of(step))] == [9]
    assert [pair.metric.step for pair in evaluations(log_of(step + "final val_loss:2.1 val_bpb:1.25\n"))] == [None]


def test_running_values_and_impossible_ones_are_no_evaluations() -> None:
    text = "chunk 3/9 val_loss:2.0 val_bpb:1.2\nfinal val_loss:0.0 val_bpb:1.2\nfinal val_loss:2.0 val_bpb:-1\nfinal val_loss:1e999 val_bpb:1\n"
    assert evaluations(log_of(text)) == ()


def test_the_split_is_the_one_that_was_printed_last() -> None:
    text = "val_tokens:100\nfirst val_loss:2.0 val_bpb:1.2\nval_tokens:200\nsecond val_loss:2.0 val_bpb:1.2\n"
    assert [pair.split for pair in evaluations(log_of(text))] == [100, 200]


def test_a_stated_byte_count_confirms_the_pair_that_it_belongs_to() -> None:
    text = (
        "sliding val_loss:2.32 val_bpb:1.0601\n"
        "mix val_loss:2.32 val_bpb:0.97306\n"
        "mixer tokens=47851520 bytes=164594398\n"
    )
    assert [pair.stated for pair in evaluations(log_of(text))] == [False, True]


@pytest.mark.parametrize(
    "text,vocabulary",
    [
        ("tokenizer_path: ./data/tokenizers/fineweb_8192_bpe.model", "8192"),
        ("vocab_size: 1024", "1024"),
        ("val_loader:shards pattern=./data/fineweb10B_sp4096/fineweb_val_*.bin tokens:45508608", "4096"),
        ("tokenizer_path: ./tokenizers/fineweb_8192_bpe_lossless_caps_caseops_v1.model", "8192 caseops"),
        ("data_path: ./data/fineweb10B_sp8192_casefold", None),
        ("vocab_size: 998", None),
        ("", None),
    ],
)
def test_the_yardstick_is_the_tokenizer_that_the_log_names(text: str, vocabulary: str | None) -> None:
    assert expected_tokens_per_byte(log_of(text)) == (TOKENS_PER_BYTE[vocabulary] if vocabulary else None)


@pytest.mark.parametrize("size,name", BUGS)
def test_known_mistakes_are_recognised_by_their_denominator(size: int, name: str) -> None:
    assert likely_bug(size * 1.0005) == name
    assert likely_bug(OFFICIAL_BYTES) == ""


@pytest.mark.parametrize(
    "text,expected",
    [
        ("val_tokens:62021632\nfinal val_loss:2.06120413 val_bpb:1.22075880\n", Bytes.RIGHT),
        ("val_tokens:62021632\nfinal val_loss:2.06120413 val_bpb:1.03713281\n", Bytes.TOO_MANY),
        ("vocab_size: 1024\nfinal val_loss:2.06120413 val_bpb:1.03713281\n", Bytes.TOO_MANY),
        ("final val_loss:2.06120413 val_bpb:1.22075880\n", Bytes.RIGHT),
        ("final val_bpb:1.22075880\n", Bytes.UNKNOWN),
    ],
)
def test_what_the_printed_numbers_say_of_the_byte_count(text: str, expected: Bytes) -> None:
    assert shown_bytes(log_of(text), None) is expected
