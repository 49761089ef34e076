"""EMA and SWA against sums written out."""

import pytest
import torch
from torch import Tensor, nn

from reference_trainer.averaging import EqualAverage, ExponentialAverage, WeightAverage
from reference_trainer.preset import Averaging


class OneWeight(nn.Module):
    """A parameter that is set from outside, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([100.0, -100.0]))
        self.register_buffer("table", torch.tensor([7]))

    def become(self, value: float) -> None:
        with torch.no_grad():
            self.weight.copy_(torch.tensor([value, -value]))


def follow(settings: Averaging, values: list[float], losses: list[float | None] | None = None) -> dict[str, Tensor]:
    """The exported state after steps that leave these weights, in equal parts of a run."""
    network = OneWeight()
    average = WeightAverage(network, settings)
    for index, value in enumerate(values):
        network.become(value)
        average.update(index + 1, index / len(values), losses[index] if losses else None)
    return average.state()


def ema(start: float, values: list[float], decay: float) -> list[float]:
    averages = []
    for n, value in enumerate(values, 1):
        d = min(decay, (1 + n) / (10 + n))
        start = d * start + (1 - d) * value
        averages.append(start)
    return averages


VALUES = [float(value) for value in torch.randn(200, generator=torch.Generator().manual_seed(0))]


def test_ema() -> None:
    weight = torch.tensor([100.0])
    average = ExponentialAverage([weight], 0.9)
    for expected, value in zip(ema(100.0, VALUES, 0.9), VALUES, strict=True):
        average.update([torch.tensor([value])])
        assert average.average[0].item() == pytest.approx(expected, abs=1e-4)
    assert weight.item() == 100.0
    last = 0.1 * sum(0.9**age * value for age, value in enumerate(reversed(VALUES)))  # the rise of d is forgotten
    assert average.average[0].item() == pytest.approx(last, abs=1e-4)


def test_swa() -> None:
    average = EqualAverage([torch.tensor([100.0])])
    for value in VALUES:
        average.add([torch.tensor([value])])
    assert average.average[0].item() == pytest.approx(sum(VALUES) / len(VALUES), abs=1e-5)


class TestExport:
    def test_without_averages_the_last_weights(self) -> None:
        assert follow(Averaging(), VALUES)["weight"].tolist() == pytest.approx([VALUES[-1], -VALUES[-1]])

    def test_ema(self) -> None:
        expected = ema(100.0, VALUES, 0.95)[-1]
        assert follow(Averaging(ema_decay=0.95), VALUES)["weight"].tolist() == pytest.approx(
            [expected, -expected], abs=1e-4
        )

    @pytest.mark.parametrize("every, sampled", [(50, [100, 150, 200]), (27, [81, 108, 135, 162, 189])])
    def test_swa_from_a_fraction_every_so_many_steps(self, every: int, sampled: list[int]) -> None:
        """Of 200 steps from 40 %: the part of the run is that before a step, so step 81 is the first."""
        expected = sum(VALUES[step - 1] for step in sampled) / len(sampled)
        state = follow(Averaging(swa_from=0.4, swa_every=every), VALUES)
        assert state["weight"][0].item() == pytest.approx(expected)

    def test_swa_of_ema(self) -> None:
        averages = ema(100.0, VALUES, 0.9)
        expected = (averages[184] + averages[189] + averages[194] + averages[199]) / 4
        state = follow(Averaging(ema_decay=0.9, swa_from=0.91, swa_every=5), VALUES)
        assert state["weight"][0].item() == pytest.approx(expected, abs=1e-4)

    def test_swa_that_never_began_leaves_ema(self) -> None:
        state = follow(Averaging(ema_decay=0.9, swa_from=0.9, swa_every=1000), VALUES)
        assert state["weight"][0].item() == pytest.approx(ema(100.0, VALUES, 0.9)[-1], abs=1e-4)

    def test_ema_of_the_least_smoothed_training_loss(self) -> None:
        losses: list[float | None] = [3.0 - index / 100 if index < 120 else 2.0 + index / 100 for index in range(200)]
        losses[10] = 0.5  # one lucky batch is not the best state
        smoothed, least, best = None, 9.0, 0
        for index, loss in enumerate(losses):
            assert loss is not None
            smoothed = loss if smoothed is None else 0.98 * smoothed + 0.02 * loss
            if smoothed < least:
                least, best = smoothed, index
        assert 110 < best < 130
        state = follow(Averaging(ema_decay=0.9, best_training_loss=True), VALUES, losses)
        assert state["weight"][0].item() == pytest.approx(ema(100.0, VALUES, 0.9)[best], abs=1e-4)

    def test_buffers_are_exported_and_nothing_is_shared(self) -> None:
        network = OneWeight()
        average = WeightAverage(network, Averaging(ema_decay=0.5))
        state = average.state()
        assert state["table"].tolist() == [7]
        network.become(1.0)
        average.update(1, 0.0, None)
        assert state["weight"].tolist() == [100.0, -100.0]
