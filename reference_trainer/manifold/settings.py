"""Every number of the token manifold and of the network that reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ManifoldSettings:
    """A frozen manifold of tokens, and a causal network of shared-weight hops over it."""

    vocabulary: int = 1024

    # Co-occurrence.
    counted_tokens: int = 20_000_000  # of the training text
    window: int = 8  # tokens before a token that count as its neighbourhood

    # Physics: tokens are masses in a Euclidean space.
    space: int = 8  # its dimensions; even, because torsion turns planes
    physics_steps: int = 5_000
    physics_seed: int = 42  # of the first positions, drawn on the CPU: every run has the same manifold
    time_step: float = 0.1
    friction: float = 0.1  # the part of the velocity that is lost per step
    spring: float = 1.0  # stiffness between tokens of the same neighbourhoods
    torsion: float = 0.5  # largest angle at which such a spring is at rest
    bigram: float = 1.0  # stiffness between tokens that stand side by side
    directed: float = 0.5  # stiffness between a token and what follows it, over that of their spring
    repulsion: float = 2.0  # between all tokens; without it springs would draw them to one point

    # Spectrum: what the network sees of the manifold.
    modes: int = 256  # softest normal modes of the Hessian at rest
    svd_coordinates: int = 64  # singular vectors of the co-occurrence matrix

    # Network.
    width: int = 500
    hops: int = 4  # times that the same weights are applied
    heads: int = 2
    mlp_width: int = 13_824
    rope_base: float = 10_000.0
    softcap: float = 30.0  # logits are softcap * tanh(logits / softcap)

    def __post_init__(self) -> None:
        if self.space % 2:
            raise ValueError(f"a space of {self.space} dimensions has no planes for all of them")
        if max(self.modes, self.svd_coordinates) > self.vocabulary:
            raise ValueError(f"{self.vocabulary} tokens have no {max(self.modes, self.svd_coordinates)} modes")
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} does not split into {self.heads} heads of even width")

    @property
    def spectral_dimensions(self) -> int:
        return self.modes + self.svd_coordinates
