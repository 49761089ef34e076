"""GPTQ against all roundings of small matrices, and against rounding to nearest."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from reference_trainer import gptq as gptq_module
from reference_trainer.gptq import BLOCK, collect_hessians, gptq, inverse_factor
from reference_trainer.quantisation import (
    DeviationClip,
    MaxClip,
    QuantisationPlan,
    Quantised,
    RowFormat,
    quantise_rows,
    quantise_rows_by_gptq,
    quantise_state,
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from a second thread, and lose much where processors are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def correlated_inputs(generator: torch.Generator, samples: int, columns: int) -> Tensor:
    """(samples, columns) whose columns differ in size and depend on each other, as activations do."""
    mixing = torch.randn(columns, columns, generator=generator) * torch.rand(columns, generator=generator)
    return torch.randn(samples, columns, generator=generator) @ mixing


def second_moment(inputs: Tensor) -> Tensor:
    return inputs.T @ inputs / inputs.shape[0]


def weighted_error(weight: Tensor, quantised: Quantised, hessian: Tensor) -> float:
    difference = weight.double() - quantised.dequantise().double()  # codes times a float16 scale are exact
    return float(torch.einsum("ri,ij,rj->", difference, hessian.double(), difference))


def least_error(row: Tensor, scale: float, levels: int, hessian: Tensor) -> float:
    """The least weighted error of a row over all codes there are."""
    codes = torch.cartesian_prod(*[torch.arange(-levels, levels + 1)] * len(row)).double()
    difference = row.double() - codes * scale
    return float(((difference @ hessian.double()) * difference).sum(dim=1).min())


def test_never_better_than_the_optimum_and_nearer_to_it_than_rounding() -> None:
    form = RowFormat(4, MaxClip())
    optimum = compensated = nearest = 0.0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(1, 4, generator=generator)
        hessian = second_moment(correlated_inputs(generator, 64, 4))
        by_gptq = quantise_rows_by_gptq(weight, form, hessian)
        error = weighted_error(weight, by_gptq, hessian)
        least = least_error(weight[0], float(by_gptq.scales[0]), form.levels, hessian)
        assert error >= least * (1 - 1e-9)
        optimum, compensated = optimum + least, compensated + error
        nearest += weighted_error(weight, quantise_rows(weight, form), hessian)
    assert optimum < compensated < optimum + 0.25 * (nearest - optimum)  # 15 % of what rounding loses is still lost


@pytest.mark.parametrize("form", [RowFormat(4, MaxClip()), RowFormat(6, DeviationClip(12.85))])
def test_beats_rounding_to_nearest_on_200_matrices(form: RowFormat) -> None:
    compensated, nearest = [], []
    for seed in range(200):
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(8, 24, generator=generator)
        hessian = second_moment(correlated_inputs(generator, 96, 24))
        compensated.append(weighted_error(weight, quantise_rows_by_gptq(weight, form, hessian), hessian))
        nearest.append(weighted_error(weight, quantise_rows(weight, form), hessian))
    exceptions = sum(ours >= theirs for ours, theirs in zip(compensated, nearest, strict=True))
    assert sum(compensated) < 0.5 * sum(nearest)
    assert exceptions == 0


def gptq_by_loop(weight: Tensor, hessian: Tensor, scales: Tensor, levels: int) -> Tensor:
    """As in the derivation: after each column the inverse Hessian loses it by a step of Gaussian elimination."""
    order = hessian.diagonal().argsort(descending=True, stable=True).tolist()
    damped = hessian.double() + 0.01 * hessian.double().diagonal().mean() * torch.eye(len(order))
    rest, codes = weight.double().clone(), torch.zeros_like(weight, dtype=torch.float64)
    for at, column in enumerate(order):
        left = order[at:]
        inverse = torch.linalg.inv(damped[left][:, left])
        codes[:, column] = (rest[:, column] / scales).round().clamp(-levels, levels)
        error = (rest[:, column] - codes[:, column] * scales) / inverse[0, 0]
        rest[:, left] -= error[:, None] * inverse[0]
    return codes


@pytest.mark.parametrize("columns", [1, 2, 20, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_blocks_and_cholesky_give_the_codes_of_a_plain_loop(columns: int) -> None:
    generator = torch.Generator().manual_seed(columns)
    weight = torch.randn(5, columns, generator=generator)
    hessian = second_moment(correlated_inputs(generator, 3 * columns + 5, columns))
    scales = weight.abs().amax(dim=1).double() / 31
    codes = gptq(weight, hessian, scales, 31)
    assert torch.equal(codes, gptq_by_loop(weight, hessian, scales, 31))


def test_inputs_that_do_not_depend_on_each_other_need_no_making_up() -> None:
    weight = torch.randn(6, 30)
    form = RowFormat(5, MaxClip())
    by_gptq = quantise_rows_by_gptq(weight, form, torch.diag(torch.rand(30) + 0.1))
    assert torch.equal(by_gptq.codes, quantise_rows(weight, form).codes)


def test_the_factor_is_that_of_the_damped_inverse() -> None:
    hessian = second_moment(torch.randn(50, 9, dtype=torch.float64))
    factor = inverse_factor(hessian)
    assert torch.equal(factor, factor.triu())
    damped = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(9)
    torch.testing.assert_close(factor.T @ factor @ damped, torch.eye(9).double())


@pytest.mark.parametrize("dead", [[0], [3, 7], list(range(10))])
def test_columns_without_input_become_zero_and_do_not_stretch_the_scale(dead: list[int]) -> None:
    inputs = torch.randn(40, 10)
    inputs[:, dead] = 0
    weight = torch.randn(4, 10)
    weight[:, dead] *= 1000
    quantised = quantise_rows_by_gptq(weight, RowFormat(6, MaxClip()), second_moment(inputs))
    assert not quantised.codes[:, dead].any()
    alive = [column for column in range(10) if column not in dead]
    if alive:
        expected = weight[:, alive].abs().amax(dim=1) / 31
        torch.testing.assert_close(quantised.scales.float(), expected, rtol=1e-3, atol=0)


def test_fewer_samples_than_columns() -> None:
    """The Hessian is singular; damping makes it invertible."""
    generator = torch.Generator().manual_seed(0)
    weight, form = torch.randn(8, 40, generator=generator), RowFormat(4, MaxClip())
    hessian = second_moment(torch.randn(10, 40, generator=generator))
    ours, nearest = quantise_rows_by_gptq(weight, form, hessian), quantise_rows(weight, form)
    assert weighted_error(weight, ours, hessian) < 0.2 * weighted_error(weight, nearest, hessian)


def test_rows_of_zeros_and_equal_runs() -> None:
    weight = torch.randn(3, 12)
    weight[1] = 0
    hessian = second_moment(torch.randn(50, 12))
    first, again = (quantise_rows_by_gptq(weight, RowFormat(6, MaxClip()), hessian) for _ in range(2))
    assert not first.codes[1].any()
    assert torch.equal(first.codes, again.codes)


class Twice(nn.Module):
    """One layer that runs twice, one that runs once, and one that never does."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.shared = nn.Linear(6, 6, bias=False)
        self.head = nn.Linear(6, 11, bias=False)
        self.idle = nn.Linear(6, 6, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        logits: Tensor = self.head(self.shared(torch.tanh(self.shared(x))))
        return logits


def test_hessians_are_second_moments_of_all_inputs_by_parameter_name() -> None:
    network = Twice()
    batches = [torch.randint(11, (2, 5)), torch.randint(11, (3, 4))]
    hessians = collect_hessians(network, batches)
    assert set(hessians) == {"shared.weight", "head.weight"}
    x = torch.cat([network.embedding(tokens).flatten(0, 1) for tokens in batches])
    middle = torch.tanh(network.shared(x))
    torch.testing.assert_close(hessians["shared.weight"], second_moment(torch.cat([x, middle])).detach())
    torch.testing.assert_close(hessians["head.weight"], second_moment(network.shared(middle)).detach())
    assert not hessians["head.weight"].requires_grad


def test_inputs_are_those_of_half_precision_and_their_products_are_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens on a GPU."""
    monkeypatch.setattr(gptq_module, "autocast", lambda device: torch.autocast(device.type, torch.bfloat16))
    network, tokens = Twice(), torch.randint(11, (8, 32))
    hessian = collect_hessians(network, [tokens])["head.weight"]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        inputs = network.shared(torch.tanh(network.shared(network.embedding(tokens)))).flatten(0, 1)
    assert (inputs.dtype, hessian.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(hessian, second_moment(inputs.float()))


def test_no_hook_stays_behind() -> None:
    network = Twice()
    with pytest.raises(IndexError):
        collect_hessians(network, [torch.tensor([[11]])])
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_a_calibrated_network_is_nearer_to_itself_than_a_rounded_one() -> None:
    torch.manual_seed(0)
    network = Twice()
    tokens = torch.randint(11, (8, 32))
    formats = (("*.weight", RowFormat(4, MaxClip())),)
    hessians = collect_hessians(network, [tokens])
    plans = [
        (QuantisationPlan(formats=formats, method="gptq"), hessians),
        (QuantisationPlan(formats=formats), None),
    ]
    errors = []
    for plan, known in plans:
        packed = quantise_state(network.state_dict(), plan, known)
        rounded = Twice()
        state = {name: value.dequantise() for name, value in packed.items() if isinstance(value, Quantised)}
        rounded.load_state_dict({**state, "embedding.weight": network.embedding.weight})
        with torch.no_grad():
            errors.append(float((rounded(tokens) - network(tokens)).square().sum()))
    assert errors[0] < errors[1]
