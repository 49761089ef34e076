"""The physics: forces against the energy, what each effect does, rest, and the spectrum that is read off."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from reference_trainer.manifold.build import build_manifold, normal_modes, singular_coordinates
from reference_trainer.manifold.counts import Cooccurrence, count_cooccurrence
from reference_trainer.manifold.physics import (
    TETHER,
    Landscape,
    build_landscape,
    quarter_turn,
    settle,
    squared_distances,
)
from reference_trainer.manifold.settings import ManifoldSettings

SMALL = ManifoldSettings(vocabulary=24, window=3, space=4, physics_steps=400, modes=10, svd_coordinates=4)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tokens() -> np.ndarray:
    """Two topics of ten tokens each, in turns of 25 tokens; tokens 20 to 23 never occur."""
    generator = np.random.default_rng(0)
    topics = [generator.integers(10 * (turn % 2), 10 * (turn % 2) + 10, 25) for turn in range(200)]
    return np.concatenate(topics).astype(np.uint16)


def landscape_of(tokens: np.ndarray, settings: ManifoldSettings = SMALL) -> Landscape:
    return build_landscape(count_cooccurrence(tokens, settings.vocabulary, settings.window), settings)


def in_double(landscape: Landscape) -> Landscape:
    return replace(
        landscape,
        pull=landscape.pull.double(),
        turn=landscape.turn.double(),
        hold=landscape.hold.double(),
        push=landscape.push.double(),
        mass=landscape.mass.double(),
    )


def some_positions() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(SMALL.space, SMALL.vocabulary, generator=generator, dtype=torch.float64)


def test_forces_are_the_negative_gradient_of_the_energy(tokens: np.ndarray) -> None:
    landscape, positions = in_double(landscape_of(tokens)), some_positions().requires_grad_()
    (gradient,) = torch.autograd.grad(landscape.energy(positions), positions)
    torch.testing.assert_close(landscape.forces(positions.detach()), -gradient)


def test_the_hessian_is_the_mean_over_the_axes_of_all_second_derivatives(tokens: np.ndarray) -> None:
    landscape, positions = in_double(landscape_of(tokens)), some_positions()
    full = torch.autograd.functional.hessian(landscape.energy, positions)  # (space, n, space, n)
    torch.testing.assert_close(landscape.hessian(positions), full.diagonal(dim1=0, dim2=2).mean(dim=-1))


def test_distances_and_quarter_turns() -> None:
    positions = some_positions()
    torch.testing.assert_close(squared_distances(positions), torch.cdist(positions.T, positions.T).square())
    turned = quarter_turn(positions)
    torch.testing.assert_close((turned * positions).unflatten(0, (-1, 2)).sum(dim=1), torch.zeros(2, 24).double())
    assert torch.equal(quarter_turn(turned), -positions)


def pair_energy(settings: ManifoldSettings, positions: Tensor) -> float:
    """Of two tokens, 0 always before 1, in the settings' landscape without repulsion and tether."""
    counts = torch.tensor([[0.0, 1e6], [0.0, 0.0]]).double()
    landscape = in_double(build_landscape(Cooccurrence(counts, counts), replace(settings, repulsion=0.0)))
    return float(landscape.energy(positions) - TETHER * positions.square().sum() / 2)


def test_a_turned_spring_is_at_rest_where_the_later_token_is_the_earlier_one_turned() -> None:
    settings = ManifoldSettings(
        vocabulary=2, modes=2, svd_coordinates=2, space=2, bigram=0.0, directed=0.0, torsion=0.5
    )

    def energy(angle: float) -> float:
        turned = torch.tensor([np.cos(angle), np.sin(angle)])
        return pair_energy(settings, torch.stack([torch.tensor([1.0, 0.0]).double(), turned], dim=1))

    assert energy(0.5) == pytest.approx(0.0, abs=1e-5)
    assert energy(0.5) < min(energy(0.4), energy(0.6), energy(-0.5), energy(0.0))


def test_a_directed_spring_wants_what_follows_one_unit_ahead() -> None:
    settings = ManifoldSettings(
        vocabulary=2, modes=2, svd_coordinates=2, space=2, bigram=0.0, torsion=0.0, directed=1e3
    )

    def energy(ahead: float) -> float:
        return pair_energy(settings, torch.tensor([[-ahead / 2, ahead / 2], [0.0, 0.0]]).double())

    assert energy(1.0) < min(energy(0.9), energy(1.1), energy(-1.0))


def test_tokens_come_to_rest_with_their_topic_and_the_energy_falls(tokens: np.ndarray) -> None:
    landscape = landscape_of(tokens)
    start, rest = (settle(landscape, replace(SMALL, physics_steps=steps)) for steps in (0, 2_000))
    assert landscape.energy(rest) < landscape.energy(start)
    assert landscape.forces(rest).abs().max() < 1e-2 * landscape.forces(start).abs().max()
    distances = squared_distances(rest)[:20, :20].clone().fill_diagonal_(torch.inf)
    assert ((distances.argmin(dim=1) < 10) == (torch.arange(20) < 10)).all()


def test_a_heavy_token_moves_less() -> None:
    landscape = landscape_of(np.arange(24, dtype=np.uint16).repeat(2))
    heavy = replace(landscape, mass=torch.where(torch.arange(24) == 3, 50.0, landscape.mass))
    once = replace(SMALL, physics_steps=1)
    start = settle(landscape, replace(SMALL, physics_steps=0))
    light_move, heavy_move = (settle(each, once)[:, 3] - start[:, 3] for each in (landscape, heavy))
    torch.testing.assert_close(heavy_move * 50, light_move * landscape.mass[3], rtol=1e-3, atol=1e-6)


def test_modes_solve_their_equation_softest_first(tokens: np.ndarray) -> None:
    landscape = landscape_of(tokens)
    rest = settle(landscape, SMALL)
    modes = normal_modes(landscape, rest, 10).double()
    moved, inert = landscape.hessian(rest).double() @ modes, landscape.mass.double()[:, None] * modes
    stiffness = (modes * moved).sum(dim=0) / (modes * inert).sum(dim=0)
    torch.testing.assert_close(moved, stiffness * inert, atol=1e-4, rtol=1e-4)
    assert (stiffness.diff() >= -1e-5).all()
    assert modes.square().mean() == pytest.approx(1.0)


def test_singular_coordinates_rebuild_a_symmetric_matrix_up_to_scale() -> None:
    factor = torch.randn(8, 3, dtype=torch.float64)
    gram = factor @ factor.T
    coordinates = singular_coordinates(gram, 3)
    rebuilt = coordinates @ coordinates.T
    torch.testing.assert_close(rebuilt / rebuilt.norm(), gram / gram.norm())


def test_the_manifold_is_the_same_each_time_whatever_the_threads_and_the_global_seed(tokens: np.ndarray) -> None:
    first = build_manifold(SMALL, tokens).spectrum
    torch.manual_seed(99)
    torch.set_num_threads(2)
    again = build_manifold(SMALL, tokens).spectrum
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert torch.equal(first, again)
    assert first.shape == (24, 14)
    assert first.dtype == torch.float32
    assert first.isfinite().all()
    assert not torch.equal(first, build_manifold(replace(SMALL, physics_seed=7), tokens).spectrum)


@pytest.mark.parametrize("text", [[], [3], [3] * 50])
def test_a_text_that_says_nothing_still_has_a_manifold(text: list[int]) -> None:
    assert build_manifold(SMALL, np.array(text, np.uint16)).spectrum.isfinite().all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"space": 7}, "7 dimensions"),
        ({"modes": 2000}, "no 2000 modes"),
        ({"width": 502, "heads": 4}, "does not split"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ManifoldSettings(), **change)
