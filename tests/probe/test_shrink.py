"""Sizes are made small by their names, in proportion, and once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.probe.shrink import OFFICIAL, VALIDATION, Number, Shrinker


@pytest.mark.parametrize(
    "name,old,new",
    [
        ("ITERATIONS", 20_000, 8),
        ("warmup_steps", 20, 1),
        ("WARMDOWN_ITERS", 3500, 4),
        ("MUON_MOMENTUM_WARMUP_STEPS", 1500, 4),
        ("RECUR_START_STEP", 3000, 2),
        ("grad_accum_steps", 8, 2),
        ("TRAIN_BATCH_TOKENS", 786_432, 512),
        ("VAL_LOSS_EVERY", 4000, 0),
        ("EVAL_SEQ_LEN", 2048, 64),
        ("TRAIN_SEQ_LEN", 1024, 32),
        ("EVAL_STRIDE", 64, 8),
        ("TTT_CHUNK_TOKENS", 32_768, 256),
        ("MODEL_DIM", 512, 64),
        ("MODEL_DIM", 464, 64),
        ("ROPE_DIMS", 16, 4),
        ("TTT_LORA_RANK", 8, 2),
        ("NGRAM_EVAL_BUCKETS", 4_194_304, 256),
        ("hash_bits", 22, 8),
        ("BIGRAM_VOCAB_SIZE", 2048, 512),
        ("KEEP_FLOAT_MAX_NUMEL", 65_536, 1024),
        ("GPTQ_CALIB_BATCHES", 256, 2),
        ("TTT_BATCH_SEQS", 32, 8),
        ("TTT_EPOCHS", 30, 3),
        ("SLOT_STEPS", 24, 3),
        ("EMA_DECAY", 0.997, 0.7),
        ("REPTILE_BUDGET_S", 60.0, 2.0),
    ],
)
def test_a_size_comes_out_in_proportion(name: str, old: Number, new: Number) -> None:
    shrinker = Shrinker()
    assert shrinker.size(name, old) == new
    assert [(change.old, change.new) for change in shrinker.changes.values()] == [(old, new)]


@pytest.mark.parametrize(
    "name,value",
    [("NUM_LAYERS", 11), ("NUM_HEADS", 8), ("VOCAB_SIZE", 1024), ("NUM_LOOPS", 2), ("MATRIX_LR", 0.02), ("SEED", 1337)],
)
def test_the_structure_stays(name: str, value: Number) -> None:
    assert Shrinker().size(name, value) == value


def test_a_switch_is_no_size() -> None:
    assert Shrinker().size("eval_stride", True) is True


@given(
    st.sampled_from(["MODEL_DIM", "EVAL_SEQ_LEN", "NGRAM_BUCKETS", "ITERATIONS", "TTT_EPOCHS"]), st.integers(0, 2**26)
)
def test_a_size_that_was_made_is_left_alone(name: str, old: int) -> None:
    shrinker = Shrinker()
    new = shrinker.size(name, old)
    assert shrinker.size(name, new) == new
    assert new <= old or name == "EVAL_SEQ_LEN"


def test_as_many_tokens_share_a_row_as_on_the_whole_text() -> None:
    rows = 2**22
    assert VALIDATION / Shrinker().size("ngram_buckets", rows) == pytest.approx(OFFICIAL / rows, rel=0.9)


def test_a_name_can_be_kept() -> None:
    assert Shrinker(frozenset({"model_dim"})).size("MODEL_DIM", 512) == 512
    assert Shrinker().text("MODEL_DIM", "512") == "64"
    assert Shrinker().text("COMPRESSOR", "brotli") == "brotli"


def test_lengths_at_points_of_training() -> None:
    assert Shrinker().text("TRAIN_SEQ_SCHEDULE", "1024@0.100,2048@1.000") == "32@0.100,64@1.000"
