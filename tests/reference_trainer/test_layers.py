"""Parts of a block against their definitions, written out."""

import math

import pytest
import torch
from torch import Tensor

from reference_trainer.layers import (
    MLP,
    CausalSelfAttention,
    Dense,
    attend,
    rms_norm,
    rotary_table,
    rotate,
    round_weights,
    without_own_value,
)
from reference_trainer.preset import TransformerSettings
from reference_trainer.quantisation import MaxClip, RowFormat, quantise_rows

SETTINGS = TransformerSettings(width=32, heads=4, kv_heads=2, mlp_ratio=3)
CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rms_norm() -> None:
    x = normal(3, 8) * 5
    expected = [[value / math.sqrt(sum(v * v for v in row) / 8) for value in row] for row in x.tolist()]
    torch.testing.assert_close(rms_norm(x), torch.tensor(expected))


class TestRotary:
    def test_each_pair_turns_by_position_times_its_frequency(self) -> None:
        x = normal(1, 6, 2, 8)
        turned = rotate(x, rotary_table(6, 8, 100.0, CPU))
        for position in range(6):
            for i in range(4):
                angle = position * 100.0 ** (-2 * i / 8)
                plane = torch.complex(x[0, position, :, i], x[0, position, :, i + 4]) * complex(
                    math.cos(angle), math.sin(angle)
                )
                torch.testing.assert_close(turned[0, position, :, i], plane.real)
                torch.testing.assert_close(turned[0, position, :, i + 4], plane.imag)

    def test_products_depend_on_distance_alone(self) -> None:
        q, k = normal(8, seed=1), normal(8, seed=2)
        rotary = rotary_table(12, 8, 10_000.0, CPU)
        qs, ks = (rotate(x.expand(1, 12, 1, 8), rotary)[0, :, 0] for x in (q, k))
        products = qs @ ks.T
        torch.testing.assert_close(products[5, 2], products[11, 8])
        assert not torch.isclose(products[5, 2], products[5, 3])

    def test_partial_rotation_leaves_the_other_dimensions(self) -> None:
        x = normal(2, 5, 3, 8)
        turned = rotate(x, rotary_table(5, 4, 10_000.0, CPU))
        assert torch.equal(turned[..., 4:], x[..., 4:])
        assert not torch.isclose(turned[:, 1:, :, :4], x[:, 1:, :, :4]).any()


class TestAttention:
    def test_grouped_queries_against_the_definition(self) -> None:
        q, k, v = normal(2, 7, 4, 8, seed=1), normal(2, 7, 2, 8, seed=2), normal(2, 7, 2, 8, seed=3)
        y = attend(q, k, v)
        for head in range(4):
            for position in range(7):
                seen = slice(0, position + 1)
                logits = (k[:, seen, head // 2] @ q[:, position, head, :, None]).squeeze(2) / math.sqrt(8)
                expected = (logits.softmax(1)[:, :, None] * v[:, seen, head // 2]).sum(1)
                torch.testing.assert_close(y[:, position, head], expected)

    def test_exclusive_removes_the_component_along_the_own_value(self) -> None:
        y, v = normal(2, 5, 4, 8, seed=1), normal(2, 5, 2, 8, seed=2)
        z = without_own_value(y, v)
        for head in range(4):
            own = v[:, :, head // 2]
            along = (y[:, :, head] * own).sum(2) / own.square().sum(2)
            torch.testing.assert_close(z[:, :, head], y[:, :, head] - along[..., None] * own)
            torch.testing.assert_close((z[:, :, head] * own).sum(2), torch.zeros(2, 5), atol=1e-5, rtol=0)

    def test_exclusive_with_a_zero_value_changes_nothing(self) -> None:
        y = normal(1, 2, 2, 4)
        assert torch.equal(without_own_value(y, torch.zeros(1, 2, 1, 4)), y)

    @pytest.mark.parametrize("exclusive", [False, True])
    def test_a_first_token_sees_itself_or_nothing(self, exclusive: bool) -> None:
        attention = CausalSelfAttention(SETTINGS, exclusive)
        torch.nn.init.eye_(attention.output.weight)
        x = normal(2, 6, 32)
        y = attention(x, rotary_table(6, 8, 10_000.0, CPU), None)
        own = attention.value(x).unflatten(2, (2, 8)).repeat_interleave(2, dim=2).flatten(2)
        expected = torch.zeros(2, 32) if exclusive else own[:, 0]
        torch.testing.assert_close(y[:, 0], expected, atol=1e-6, rtol=0)
        assert y[:, 1:].abs().max() > 0.1

    def test_value_embeddings_are_part_of_the_values(self) -> None:
        attention = CausalSelfAttention(SETTINGS, exclusive=False)
        torch.nn.init.eye_(attention.output.weight)
        torch.nn.init.zeros_(attention.value.weight)
        embedding = normal(1, 1, 16).expand(1, 4, 16)
        y = attention(normal(1, 4, 32), rotary_table(4, 8, 10_000.0, CPU), embedding)
        torch.testing.assert_close(y, embedding.unflatten(2, (2, 8)).repeat_interleave(2, dim=2).flatten(2))

    def test_gain_zero_attends_evenly_and_inputs_are_normalised(self) -> None:
        attention = CausalSelfAttention(SETTINGS, exclusive=False)
        torch.nn.init.eye_(attention.output.weight)
        rotary = rotary_table(6, 8, 10_000.0, CPU)
        x = normal(1, 6, 32)
        sharp = attention(x, rotary, None)
        with torch.no_grad():
            attention.query.weight.mul_(10.0)
            torch.testing.assert_close(attention(x, rotary, None), sharp)  # the norm takes the factor away
            attention.gain.zero_()
        v = attention.value(x).unflatten(2, (2, 8)).repeat_interleave(2, dim=2).flatten(2)
        means = v.cumsum(1) / torch.arange(1, 7)[:, None]
        torch.testing.assert_close(attention(x, rotary, None), means)


@pytest.mark.parametrize(
    "activation, below, above", [("relu_squared", 0.0, 9.0), ("leaky_relu_squared", 2.25, 9.0)]
)  # of -3 and 3
def test_activations(activation: str, below: float, above: float) -> None:
    mlp = MLP(TransformerSettings(width=1, mlp_ratio=1, activation=activation))  # type: ignore[arg-type]
    for dense in (mlp.up, mlp.down):
        torch.nn.init.ones_(dense.weight)
    assert mlp(torch.tensor([[-3.0], [3.0]])).flatten().tolist() == [below, above]


class TestRounding:
    def test_the_forward_pass_sees_rounded_weights_and_the_gradient_passes(self) -> None:
        dense, x = Dense(8, 5), normal(3, 8)
        round_weights(dense, 6)
        rounded = quantise_rows(dense.weight, RowFormat(6, MaxClip())).dequantise()
        torch.testing.assert_close(dense(x), x @ rounded.T)
        dense(x).sum().backward()
        assert dense.weight.grad is not None
        torch.testing.assert_close(dense.weight.grad, x.sum(0).expand(5, 8))

    def test_it_can_be_ended(self) -> None:
        mlp, x = MLP(SETTINGS), normal(3, 32)
        torch.nn.init.normal_(mlp.down.weight)
        exact = mlp(x)
        round_weights(mlp, 4)
        assert not torch.allclose(mlp(x), exact)
        round_weights(mlp, None)
        assert torch.equal(mlp(x), exact)
