"""Packing, round trips and refusals of the artifact."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reference_trainer.artifact import (
    ArtifactCorrupted,
    ArtifactTooLarge,
    check_size,
    entropy_bytes,
    load_codes,
    pack_bits,
    read_artifact,
    read_packed,
    store_codes,
    unpack_bits,
    write_artifact,
)
from reference_trainer.quantisation import Codec, DeviationClip, MaxClip, Quantised, RowFormat, quantise_rows

CODECS: list[Codec] = ["zlib", "zstd", "brotli"]


def packed_by_loop(values: list[int], bits: int) -> bytes:
    """Bit by bit into one long integer, most significant first."""
    number = 0
    for value in values:
        number = number << bits | value
    length = math.ceil(len(values) * bits / 8)
    return (number << (length * 8 - len(values) * bits)).to_bytes(length, "big")


@st.composite
def values_and_bits(draw: st.DrawFn) -> tuple[list[int], int]:
    bits = draw(st.sampled_from([4, 5, 6, 8]))
    return draw(st.lists(st.integers(0, 2**bits - 1), max_size=70)), bits


@given(values_and_bits())
@settings(max_examples=400)
def test_packing_is_that_of_a_plain_loop(case: tuple[list[int], int]) -> None:
    values, bits = case
    packed = pack_bits(np.array(values, np.uint8), bits)
    assert packed.tobytes() == packed_by_loop(values, bits)
    assert unpack_bits(packed, bits, len(values)).tolist() == values


def test_two_nibbles_share_a_byte() -> None:
    assert pack_bits(np.array([0xA, 0x3, 0xF], np.uint8), 4).tobytes() == b"\xa3\xf0"


def test_the_bigram_head_takes_half_a_byte_per_pair() -> None:
    head = quantise_rows(torch.randn(1024, 1024), RowFormat(4, MaxClip()))
    width, stored = store_codes(head)
    assert (width, stored.size) == (4, 524_288)


@pytest.mark.parametrize("bits", [4, 5, 6, 8])
def test_every_code_of_every_width_survives(bits: int) -> None:
    levels = 2 ** (bits - 1) - 1
    codes = torch.arange(-levels, levels + 1).to(torch.int8).repeat(3)[None]
    width, stored = store_codes(Quantised(codes, torch.ones(1).half(), bits))
    assert torch.equal(load_codes(stored.tobytes(), list(codes.shape), bits, width), codes)


def test_peaked_codes_of_six_bits_are_stored_one_per_byte_because_that_compresses_better(tmp_path: Path) -> None:
    matrix = quantise_rows(torch.randn(256, 256), RowFormat(6, DeviationClip(12.85)))
    width, stored = store_codes(matrix)
    assert width == 8
    own = pack_bits((matrix.codes.numpy().ravel() + 32).astype(np.uint8), 6)
    assert entropy_bytes(stored) < entropy_bytes(own)
    size = write_artifact(tmp_path / "model", {"m": matrix}, "brotli")
    assert size < 0.6 * 256 * 256 * 6 / 8 + 1000  # about 3.3 bits each, against 6


def test_flat_codes_are_packed() -> None:
    flat = torch.randint(-31, 32, (64, 64), dtype=torch.int8)
    assert store_codes(Quantised(flat, torch.ones(64).half(), 6))[0] == 6


def a_state() -> dict[str, Quantised | Tensor]:
    torch.manual_seed(0)
    formats = [RowFormat(bits, MaxClip()) for bits in (4, 5, 6, 8)]
    packed: dict[str, Quantised | Tensor] = {
        f"matrix{form.bits}": quantise_rows(torch.randn(7, 33), form) for form in formats
    }
    packed["peaked"] = quantise_rows(torch.randn(40, 33), RowFormat(6, DeviationClip(12.85)))
    packed["half"] = torch.randn(3, 5).half()
    packed["vector"] = torch.tensor([1.0, -0.0, float("inf"), 1e-45])
    packed["scalar"] = torch.tensor(2.5)
    packed["empty"] = torch.zeros(0, 4)
    packed["steps"] = torch.tensor([1, -(2**40)])
    packed["mask"] = torch.tensor([True, False])
    packed["transposed"] = torch.arange(6).view(2, 3).T
    return packed


@pytest.mark.parametrize("codec", CODECS)
def test_round_trip_is_bit_identical(codec: Codec, tmp_path: Path) -> None:
    state = a_state()
    size = write_artifact(tmp_path / "model", state, codec)
    assert size == (tmp_path / "model").stat().st_size
    read = read_artifact(tmp_path / "model")
    assert list(read) == list(state)
    for name, value in state.items():
        expected = value.dequantise() if isinstance(value, Quantised) else value
        assert read[name].dtype == expected.dtype
        assert read[name].shape == expected.shape
        assert read[name].numpy().tobytes() == expected.numpy().tobytes(), name


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_are_deterministic_and_a_second_packing_changes_nothing(codec: Codec, tmp_path: Path) -> None:
    write_artifact(tmp_path / "first", a_state(), codec)
    write_artifact(tmp_path / "again", read_packed(tmp_path / "first"), codec)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()


@pytest.mark.parametrize("codec", CODECS)
def test_no_state_at_all(codec: Codec, tmp_path: Path) -> None:
    write_artifact(tmp_path / "model", {}, codec)
    assert read_artifact(tmp_path / "model") == {}


def test_every_flipped_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model"
    write_artifact(path, {"m": quantise_rows(torch.randn(4, 4), RowFormat(8, MaxClip()))}, "zlib")
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1 :])
        with pytest.raises(ArtifactCorrupted, match=r"checksum|begins with"):
            read_artifact(path)
        path.write_bytes(good[:at])
        with pytest.raises(ArtifactCorrupted, match=r"checksum|no artifact"):
            read_artifact(path)
    path.write_bytes(good + b"x")
    with pytest.raises(ArtifactCorrupted, match="checksum"):
        read_artifact(path)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"m": torch.zeros(100)}, tmp_path / "model")
    with pytest.raises(ArtifactCorrupted, match="begins with"):
        read_artifact(tmp_path / "model")


def test_a_type_without_a_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="angles: complex64"):
        write_artifact(tmp_path / "model", {"angles": torch.zeros(2, dtype=torch.complex64)}, "zlib")


def test_the_cap_itself_is_too_large() -> None:
    assert check_size(100_000, 15_899_999) == 15_999_999
    with pytest.raises(ArtifactTooLarge, match=r"code 100,000 \+ model 15,900,000 = 16,000,000 bytes"):
        check_size(100_000, 15_900_000)
