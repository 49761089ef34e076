"""Muon against the singular value decomposition and its formulas; groups; the end points of every schedule."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from reference_trainer.optimizer import (
    Muon,
    build_optimizers,
    learning_rate_scale,
    muon_momentum,
    orthogonalise,
    set_rates,
)
from reference_trainer.preset import OptimizerSettings, TrainingSettings, TransformerSettings
from reference_trainer.presets.baseline import PRESET as BASELINE
from reference_trainer.presets.count_bigram import PRESET as COUNT_BIGRAM
from reference_trainer.presets.sp8192_sdclip import PRESET as SP8192_SDCLIP
from reference_trainer.presets.unet_ttt import PRESET as UNET_TTT
from reference_trainer.transformer import Transformer

SHAPES = [(16, 16), (48, 16), (16, 48), (1, 7), (64, 63)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def after_five_quintics(value: float) -> float:
    """What the iteration makes of a singular value."""
    for _ in range(5):
        value = 3.4445 * value - 4.7750 * value**3 + 2.0315 * value**5
    return value


class TestOrthogonalise:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_singular_values_go_through_the_quintic_and_vectors_stay(self, shape: tuple[int, int]) -> None:
        matrix = normal(*shape)
        u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
        values = torch.tensor([after_five_quintics(value) for value in (s / s.norm()).tolist()], dtype=torch.float64)
        torch.testing.assert_close(orthogonalise(matrix).double(), u * values @ vh, atol=2e-4, rtol=0)

    @pytest.mark.parametrize("shape", [(48, 16), (16, 48), (32, 128)])
    @pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
    def test_close_to_the_polar_factor(self, shape: tuple[int, int], size: float) -> None:
        matrix = size * normal(*shape)
        u, _, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
        x = orthogonalise(matrix).double()
        assert ((x - u @ vh).norm() / vh.size(0) ** 0.5).item() < 0.25
        singular = torch.linalg.svdvals(x)
        assert singular.min() > 0.65
        assert singular.max() < 1.25

    def test_a_batch_is_its_matrices(self) -> None:
        batch = normal(3, 24, 8)
        torch.testing.assert_close(orthogonalise(batch), torch.stack([orthogonalise(one) for one in batch]))

    def test_zero_stays_zero(self) -> None:
        assert torch.equal(orthogonalise(torch.zeros(2, 4, 4)), torch.zeros(2, 4, 4))


class TestMuon:
    @pytest.mark.parametrize("shape", [(6, 6), (12, 6), (6, 12)])
    def test_steps_against_the_formulas(self, shape: tuple[int, int]) -> None:
        weight = nn.Parameter(normal(*shape))
        expected, buffer = weight.detach().clone(), torch.zeros(shape)
        optimizer = Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.2)
        for step in range(3):
            gradient = normal(*shape, seed=10 + step)
            weight.grad = gradient.clone()
            optimizer.step()
            buffer = 0.9 * buffer + gradient
            direction = orthogonalise(gradient + 0.9 * buffer)
            expected = (1 - 0.1 * 0.2) * expected - 0.1 * math.sqrt(max(1, shape[0] / shape[1])) * direction
            torch.testing.assert_close(weight.detach(), expected)

    def test_matrices_of_mixed_shapes_and_without_gradient(self) -> None:
        weights = [nn.Parameter(normal(*shape)) for shape in ((4, 6), (6, 4), (4, 6), (4, 6))]
        alone = [nn.Parameter(weight.detach().clone()) for weight in weights]
        for number, (weight, twin) in enumerate(zip(weights[:3], alone[:3], strict=True)):
            weight.grad = normal(*weight.shape, seed=number)
            twin.grad = weight.grad.clone()
        Muon(weights, lr=0.1, momentum=0.9, weight_decay=0.1).step()
        for twin in alone:
            Muon([twin], lr=0.1, momentum=0.9, weight_decay=0.1).step()
        for weight, twin in zip(weights, alone, strict=True):
            torch.testing.assert_close(weight, twin)


class TestGroups:
    @pytest.mark.parametrize(
        "preset", [BASELINE, COUNT_BIGRAM, UNET_TTT, SP8192_SDCLIP], ids=lambda preset: str(preset.name)
    )
    def test_every_parameter_has_one_rate(self, preset: object) -> None:
        network, settings = meta_network(preset.network), preset.optimizer  # type: ignore[attr-defined]
        rates: dict[int, float] = {}
        for optimizer in build_optimizers(network, settings):
            for group in optimizer.param_groups:
                for weight in group["params"]:
                    assert id(weight) not in rates
                    rates[id(weight)] = group["lr"]
        for name, weight in network.named_parameters():
            assert rates.pop(id(weight)) == expected_rate(name, settings), name
        assert not rates

    def test_rates_and_momentum_are_set_together(self) -> None:
        settings = BASELINE.optimizer
        muon, adam = optimizers = build_optimizers(meta_network(TransformerSettings()), settings)
        for scale in (0.5, 0.1):
            set_rates(optimizers, scale, 0.7)
        assert muon.param_groups[0]["lr"] == pytest.approx(0.1 * settings.muon_lr)
        assert muon.param_groups[0]["momentum"] == 0.7
        assert [group["lr"] for group in adam.param_groups] == pytest.approx(
            [0.1 * settings.embedding_lr, 0.1 * settings.scalar_lr]
        )
        assert [group["betas"] for group in adam.param_groups] == [settings.adam_betas] * 2


def meta_network(settings: TransformerSettings) -> Transformer:
    with torch.device("meta"):
        return Transformer(settings)


def expected_rate(name: str, settings: OptimizerSettings) -> float:
    if name == "count_bigram.weight":
        return settings.bigram_lr
    if name.endswith(("embedding.weight", "table.weight")):
        return settings.embedding_lr
    dense = ("query", "key", "value", "output", "up", "down", "projection")
    if name.endswith(tuple(f"{layer}.weight" for layer in dense)):
        return settings.muon_lr
    return settings.scalar_lr


class TestLinearWarmdown:
    SETTINGS = TrainingSettings(steps=1000, warmup_steps=20, warmdown=0.25)

    @pytest.mark.parametrize(
        "step, progress, scale",
        [
            (0, 0.0, 0.05),  # the first step moves the weights, too
            (9, 0.0, 0.5),
            (19, 0.0, 1.0),
            (20, 0.02, 1.0),
            (750, 0.75, 1.0),
            (875, 0.875, 0.5),
            (400, 0.875, 0.5),  # the clock is ahead of the steps
            (1000, 1.0, 0.0),
            (1000, 1.1, 0.0),
        ],
    )
    def test_to_zero(self, step: int, progress: float, scale: float) -> None:
        assert learning_rate_scale(self.SETTINGS, step, progress) == pytest.approx(scale, abs=1e-12)

    @pytest.mark.parametrize("progress, scale", [(0.65, 1.0), (0.775, 0.6), (0.9, 0.2), (0.95, 0.2), (1.0, 0.2)])
    def test_to_a_plateau(self, progress: float, scale: float) -> None:
        settings = replace(self.SETTINGS, final_lr=0.2, plateau=0.1)
        assert learning_rate_scale(settings, 500, progress) == pytest.approx(scale)

    @pytest.mark.parametrize("step, progress, scale", [(0, 0.0, 1.0), (999, 0.999, 1.0), (1000, 1.0, 0.0)])
    def test_neither_warm_up_nor_warm_down(self, step: int, progress: float, scale: float) -> None:
        settings = replace(self.SETTINGS, warmup_steps=0, warmdown=0.0)
        assert learning_rate_scale(settings, step, progress) == scale


@pytest.mark.parametrize(
    "step, scale",
    [
        (0, 1.0),
        (1700, 0.55),
        (3399, 0.1),
        (3400, 0.1),
        (5499, 0.1),
        (5500, 0.1),
        (6750, 0.05),
        (8000, 0.0),
        (9000, 0.0),
    ],
)
def test_cosine_hold_linear(step: int, scale: float) -> None:
    settings = TrainingSettings(
        steps=8000, warmup_steps=0, schedule="cosine_hold_linear", cosine_until=3400, hold_until=5500, hold_lr=0.1
    )
    assert learning_rate_scale(settings, step, 0.0) == pytest.approx(scale, abs=1e-6)


@pytest.mark.parametrize("step, momentum", [(0, 0.85), (250, 0.9), (500, 0.95), (10_000, 0.95)])
def test_momentum_rises(step: int, momentum: float) -> None:
    assert muon_momentum(OptimizerSettings(), step) == pytest.approx(momentum)


def test_momentum_without_a_rise() -> None:
    assert muon_momentum(OptimizerSettings(muon_momentum_warmup=0), 0) == 0.95
