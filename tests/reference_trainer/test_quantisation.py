"""Row-wise rounding, clips, pruning, late QAT and plans."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from reference_trainer.quantisation import (
    Clip,
    DeviationClip,
    MaxClip,
    PercentileClip,
    QuantisationPlan,
    Quantised,
    RowFormat,
    fake_quantise,
    prune_smallest,
    quantise_rows,
    quantise_state,
    row_quantiles,
)

CLIPS: list[Clip] = [MaxClip(), PercentileClip((0.9, 0.99, 0.999, 1.0)), DeviationClip(2.5), DeviationClip(12.85)]
SIX = (0.999, 0.9995, 0.9999, 0.99999, 0.999999, 1.0)


def rounded_by_loop(row: list[float], scale: float, levels: int) -> list[int]:
    """Nearest code, ties to even, in float32 as the stored weights are."""
    codes = (round(float(np.float32(value) / np.float32(scale))) for value in row)
    return [max(-levels, min(levels, code)) for code in codes]


matrices = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-8, 8, width=32, allow_subnormal=False),
)


@given(matrices, st.sampled_from([4, 5, 6, 8]), st.sampled_from(CLIPS))
@settings(max_examples=300)
def test_codes_are_those_of_a_plain_loop(weight: np.ndarray, bits: int, clip: Clip) -> None:
    quantised = quantise_rows(torch.from_numpy(weight), RowFormat(bits, clip))
    assert quantised.codes.dtype == torch.int8
    assert quantised.scales.dtype == torch.float16
    for row, scale, codes in zip(weight.tolist(), quantised.scales.tolist(), quantised.codes.tolist(), strict=True):
        assert codes == rounded_by_loop(row, scale, 2 ** (bits - 1) - 1)


@given(matrices, st.sampled_from([4, 5, 6, 8]))
@settings(max_examples=200)
def test_with_its_maximum_as_reach_no_entry_is_off_by_more_than_half_a_step(weight: np.ndarray, bits: int) -> None:
    tensor = torch.from_numpy(weight)
    quantised = quantise_rows(tensor, RowFormat(bits, MaxClip()))
    steps = quantised.scales.float()[:, None]
    assert ((quantised.dequantise() - tensor).abs() <= steps * 0.5 + tensor.abs().amax() * 2**-10).all()


@pytest.mark.parametrize("bits", [4, 5, 6, 8])
def test_codes_are_symmetric_and_the_maximum_has_the_largest(bits: int) -> None:
    weight = torch.randn(20, 50)
    codes = quantise_rows(weight, RowFormat(bits, MaxClip())).codes.int()
    assert codes.abs().amax(dim=1).eq(2 ** (bits - 1) - 1).all()
    assert torch.equal(quantise_rows(-weight, RowFormat(bits, MaxClip())).codes.int(), -codes)


@pytest.mark.parametrize("clip", CLIPS)
def test_a_row_of_zeros_stays_zero(clip: Clip) -> None:
    weight = torch.randn(3, 8)
    weight[1] = 0
    assert not quantise_rows(weight, RowFormat(6, clip)).dequantise()[1].any()


@pytest.mark.parametrize("clip", CLIPS)
def test_a_single_column_and_equal_entries_keep_their_value(clip: Clip) -> None:
    """Their deviation is zero; k times it would clip them to nothing."""
    for weight in (torch.tensor([[0.5], [-3.0]]), torch.full((2, 7), 0.25)):
        torch.testing.assert_close(quantise_rows(weight, RowFormat(8, clip)).dequantise(), weight, rtol=1e-3, atol=0)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_an_error(clip: Clip, bad: float) -> None:
    weight = torch.randn(3, 8)
    weight[2, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        quantise_rows(weight, RowFormat(8, clip))


def test_a_row_too_large_for_its_scale_is_an_error() -> None:
    with pytest.raises(ValueError, match="scale too large"):
        quantise_rows(torch.full((1, 4), 1e8), RowFormat(8, MaxClip()))


def test_a_row_too_small_for_its_scale_rounds_on_the_finest_grid() -> None:
    quantised = quantise_rows(torch.tensor([[1e-7, 3e-7, -1e-9]]), RowFormat(8, MaxClip()))
    assert quantised.codes.tolist() == [[2, 5, 0]]


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 5), (5, 0)])
def test_only_matrices_have_rows(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not a matrix"):
        quantise_rows(torch.zeros(shape), RowFormat(8, MaxClip()))


def test_deviation_clip_is_k_deviations_of_each_row() -> None:
    weight = torch.randn(30, 400) * torch.logspace(-2, 1, 30)[:, None]
    quantised = quantise_rows(weight, RowFormat(6, DeviationClip(12.85)))
    expected = 12.85 * weight.numpy().std(axis=1) / 31
    np.testing.assert_allclose(quantised.scales.float().numpy(), expected, rtol=1e-3)


@given(matrices, st.floats(0, 1))
@settings(max_examples=200)
def test_quantiles_are_those_of_numpy(weight: np.ndarray, q: float) -> None:
    ascending = torch.from_numpy(np.sort(np.abs(weight), axis=1))
    expected = np.quantile(np.abs(weight).astype(np.float64), q, axis=1)
    np.testing.assert_allclose(row_quantiles(ascending, q).numpy(), expected, rtol=1e-5, atol=1e-6)


def squared_errors(weight: Tensor, quantised: Quantised) -> Tensor:
    return (quantised.dequantise() - weight).square().sum(dim=1)


@pytest.mark.parametrize("candidates", [SIX, (0.9, 0.97, 0.99, 0.999, 1.0)])
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_the_percentile_of_each_row_is_the_one_with_the_least_squared_error(
    bits: int, candidates: tuple[float, ...]
) -> None:
    torch.manual_seed(bits)
    weight = torch.distributions.StudentT(2.0).sample(torch.Size((40, 300)))  # heavy tails, so that clipping pays
    chosen = squared_errors(weight, quantise_rows(weight, RowFormat(bits, PercentileClip(candidates))))
    alone = [squared_errors(weight, quantise_rows(weight, RowFormat(bits, PercentileClip((q,))))) for q in candidates]
    assert torch.equal(chosen, torch.stack(alone).amin(dim=0))
    largest = squared_errors(weight, quantise_rows(weight, RowFormat(bits, MaxClip())))
    assert (chosen <= largest).all()
    assert bits == 8 or (chosen < largest).any()  # 8 bits leave nothing to gain on 300 columns


def test_fake_quantisation_is_the_export_and_its_gradient_the_identity() -> None:
    weight = torch.randn(9, 40, requires_grad=True)
    upstream = torch.randn(9, 40)
    rounded = fake_quantise(weight, 6)
    assert torch.equal(rounded, quantise_rows(weight, RowFormat(6, MaxClip())).dequantise())
    rounded.backward(upstream)
    assert weight.grad is not None
    assert torch.equal(weight.grad, upstream)


@pytest.mark.parametrize("fraction", [0.0, 0.03, 0.5, 1.0])
def test_pruning_zeroes_the_smallest_and_no_other(fraction: float) -> None:
    weight = torch.randn(31, 17)
    pruned = prune_smallest(weight, fraction)
    gone = pruned == 0
    assert gone.sum() == int(fraction * weight.numel())
    assert torch.equal(pruned[~gone], weight[~gone])
    if gone.any() and not gone.all():
        assert weight[gone].abs().max() <= weight[~gone].abs().min()


def test_pruning_of_equal_magnitudes_is_exact_and_deterministic() -> None:
    weight = torch.ones(10, 10)
    assert (prune_smallest(weight, 0.03) == 0).nonzero().tolist() == [[0, 0], [0, 1], [0, 2]]
    assert weight.all()


PLAN = QuantisationPlan(
    formats=(
        ("embedding.weight", RowFormat(8, DeviationClip(20.0))),
        ("*.mlp.*", RowFormat(5, MaxClip())),
        ("blocks.*", RowFormat(6, MaxClip())),
    ),
    prune=0.03,
)


def test_the_first_format_that_matches_holds_and_the_rest_is_float() -> None:
    state = {
        "embedding.weight": torch.randn(8, 10),
        "blocks.0.mlp.up": torch.randn(10, 10),
        "blocks.0.query": torch.randn(10, 10),
        "projection": torch.randn(2, 2),
        "gain": torch.randn(3),
        "step": torch.tensor(7),
    }
    packed = quantise_state(state, PLAN)
    assert list(packed) == list(state)
    bits = {name: value.bits for name, value in packed.items() if isinstance(value, Quantised)}
    assert bits == {"embedding.weight": 8, "blocks.0.mlp.up": 5, "blocks.0.query": 6}
    kinds = {name: value.dtype for name, value in packed.items() if isinstance(value, Tensor)}
    assert kinds == {"projection": torch.float16, "gain": torch.float32, "step": torch.int64}
    pruned = packed["blocks.0.query"]
    assert isinstance(pruned, Quantised)
    assert torch.equal(
        pruned.codes, quantise_rows(prune_smallest(state["blocks.0.query"], 0.03), PLAN.formats[2][1]).codes
    )


def test_errors_name_the_parameter() -> None:
    with pytest.raises(ValueError, match=r"blocks\.0\.query: not finite"):
        quantise_state({"blocks.0.query": torch.full((2, 2), torch.nan)}, PLAN)
    with pytest.raises(ValueError, match=r"blocks\.0\.gain: not a matrix"):
        quantise_state({"blocks.0.gain": torch.zeros(2)}, PLAN)
    with pytest.raises(ValueError, match=r"wide: not finite as torch\.float16"):
        quantise_state({"wide": torch.full((2, 2), 1e6)}, PLAN)


def test_a_plan_and_its_hessians_must_agree() -> None:
    gptq = QuantisationPlan(formats=PLAN.formats, method="gptq")
    state = {"blocks.0.query": torch.randn(4, 4)}
    with pytest.raises(ValueError, match="'gptq' with 0 Hessians"):
        quantise_state(state, gptq)
    with pytest.raises(ValueError, match="'round' with 1 Hessians"):
        quantise_state(state, PLAN, {"blocks.0.query": torch.eye(4)})
    with pytest.raises(ValueError, match=r"Hessians of no parameter: blocks\.0\.key"):
        quantise_state(state, gptq, {"blocks.0.key": torch.eye(4)})
    with pytest.raises(ValueError, match="one of both"):
        QuantisationPlan(formats=(), method="gptq", prune=0.03)
