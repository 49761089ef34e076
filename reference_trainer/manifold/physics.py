"""Tokens as masses in a small Euclidean space, drawn and turned by the company they keep, until they come to rest.

Five effects, all from counts on training tokens:

- springs between tokens of the same neighbourhoods;
- directional torsion: such a spring is at rest when the later token is the earlier one turned by an angle, in every
  plane of the space (a connection Laplacian, Singer and Wu 2012, with one rotation per edge);
- directed springs: a token is drawn to a place one unit behind what follows it, along the first axis;
- syntactic bigrams: springs between tokens that stand side by side;
- entropic mass: a token that anything may follow is heavy.

A soft repulsion between all tokens keeps them apart, and a weak tether to the origin keeps those that never occur.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from reference_trainer.manifold.counts import Cooccurrence, positive_pmi, precedence, successor_entropy
from reference_trainer.manifold.settings import ManifoldSettings

TETHER = 0.01  # stiffness between each token and the origin


@dataclass(frozen=True, eq=False)
class Landscape:
    """The potential of n tokens. All parts but the repulsion are quadratic, and add up to one stiffness matrix.

    Positions are (space, n), because thin matrices multiply fastest from the left.
    """

    pull: Tensor  # (n, n) symmetric: stiffness, times the cosine of its angle where a spring turns
    turn: Tensor  # (n, n) antisymmetric: stiffness times the sine of the angle from row to column
    hold: Tensor  # (n,) sum of all stiffness at each token, and the tether
    push: Tensor  # (space, n) constant force of the directed springs
    mass: Tensor  # (n,)
    repulsion: float  # of a pair

    def energy(self, positions: Tensor) -> Tensor:
        """Potential energy of (space, n) up to a constant; `forces` is its negative gradient."""
        held = (self.hold * positions.square()).sum() / 2
        drawn = (positions * (positions @ self.pull + quarter_turn(positions) @ self.turn)).sum() / 2
        apart = self.repulsion * squared_distances(positions).log1p().sum() / 4  # each pair is there twice
        return held - drawn - (self.push * positions).sum() - apart

    def forces(self, positions: Tensor) -> Tensor:
        """(space, n) -> (space, n)."""
        nearness = squared_distances(positions).add_(1).reciprocal_()
        sums = torch.cat([positions, torch.ones_like(positions[:1])]) @ nearness  # the last row sums the columns
        repelled = sums[-1] * positions - sums[:-1]
        drawn = positions @ self.pull + quarter_turn(positions) @ self.turn
        return drawn + self.push + self.repulsion * repelled - self.hold * positions

    def hessian(self, positions: Tensor) -> Tensor:
        """(n, n): second derivatives of the energy, the mean over the axes of the space."""
        squared = squared_distances(positions)
        repelled = self.repulsion * (1 / (1 + squared) - 2 / len(positions) * squared / (1 + squared).square())
        repelled.fill_diagonal_(0)
        return torch.diag(self.hold - repelled.sum(dim=1)) - self.pull + repelled


def squared_distances(positions: Tensor) -> Tensor:
    """(space, n) -> (n, n), as one matrix product."""
    squares, ones = positions.square().sum(dim=0, keepdim=True), torch.ones_like(positions[:1])
    return torch.cat([-2 * positions, squares, ones]).T @ torch.cat([positions, ones, squares])


def quarter_turn(positions: Tensor) -> Tensor:
    """Turn (space, n) by 90 degrees in every plane of axes (0, 1), (2, 3), ..."""
    first, second = positions.unflatten(0, (-1, 2)).unbind(dim=1)
    return torch.stack([-second, first], dim=1).flatten(0, 1)


def build_landscape(counts: Cooccurrence, settings: ManifoldSettings) -> Landscape:
    near = normalised(positive_pmi(counts.near + counts.near.T)) * settings.spring
    adjacent = positive_pmi(counts.adjacent)
    bigrams = normalised(adjacent + adjacent.T) * settings.bigram
    order = precedence(counts.near)
    angle = order * settings.torsion  # the spring (a, b) is at rest when b is a, turned by it
    directed = near * order.clamp_min(0) * settings.directed  # (a, b): b wants to be one unit ahead of a
    stiffness = near + bigrams + directed + directed.T
    push = torch.zeros(settings.space, len(near))
    push[0] = directed.sum(dim=0) - directed.sum(dim=1)
    return Landscape(
        pull=stiffness - near + near * angle.cos(),
        turn=near * angle.sin(),
        hold=stiffness.sum(dim=1) + TETHER,
        push=push,
        mass=1 + successor_entropy(counts.adjacent),
        repulsion=settings.repulsion / len(near),
    )


def normalised(stiffness: Tensor) -> Tensor:
    """Symmetric stiffness over the square roots of both ends' sums: a frequent token is not stiff for that alone."""
    stiffness = stiffness.clone().fill_diagonal_(0)
    scale = stiffness.sum(dim=1).clamp_min(1e-6).rsqrt()
    return stiffness * scale[:, None] * scale[None, :]


def settle(landscape: Landscape, settings: ManifoldSettings) -> Tensor:
    """(space, n): where the tokens are after `physics_steps` of damped motion from random positions."""
    generator = torch.Generator().manual_seed(settings.physics_seed)
    positions = torch.randn(settings.space, len(landscape.mass), generator=generator)
    velocities = torch.zeros_like(positions)
    for _ in range(settings.physics_steps):
        acceleration = landscape.forces(positions) / landscape.mass
        velocities = (1 - settings.friction) * velocities + settings.time_step * acceleration
        positions = positions + settings.time_step * velocities
    return positions
