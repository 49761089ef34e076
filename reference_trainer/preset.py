"""What a preset is: every number of a run, in frozen dataclasses that are printed at the head of its log."""

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from reference_trainer.manifold.settings import ManifoldSettings
from reference_trainer.quantisation import QuantisationPlan


@dataclass(frozen=True)
class TransformerSettings:
    """Shape of a decoder-only transformer. Layers are counted from 0."""

    vocabulary: int = 1024
    layers: int = 9
    width: int = 512
    heads: int = 8
    kv_heads: int = 4
    mlp_ratio: float = 2  # hidden width of the MLP over `width`
    activation: Literal["relu_squared", "leaky_relu_squared"] = "relu_squared"
    softcap: float = 30.0  # logits are softcap * tanh(logits / softcap)
    rope_base: float = 10_000.0
    rope_dimensions: int | None = None  # rotated dimensions of each head; None rotates all
    qk_gain: float = 1.5  # initial value of the learned scale of each head's queries
    exclusive_last: int = 0  # the last layers with exclusive self-attention (XSA)
    scale_norm_by_depth: bool = False  # layer i scales its normalised input by 1 / sqrt(i + 1)
    unet_skips: bool = False  # the first half of the virtual layers is added to the second, mirrored
    skips_from_middle: bool = False  # pairs are counted from the middle, not from outside: of nine layers 3-4 .. 0-7
    skip_gates: bool = False  # each skip passes a learned gate
    repeated: tuple[int, ...] = ()  # physical layers that run twice, as one block
    repeat_from: int = 0  # the optimizer step from which they do
    parallel_from: int | None = None  # the first layer whose attention and MLP read the same residual
    value_embeddings: int = 0  # width of the token embeddings that are added to the values; 0 has none
    value_embedding_layers: tuple[int, ...] = ()
    # Adds log p(b|a) - log p(b), counted on training tokens, to the logits before the soft cap.
    count_bigram: bool = False
    hashed_bigrams: int = 0  # rows of the hashed bigram embedding; 0 has none
    hashed_bigram_width: int = 0


@dataclass(frozen=True)
class OptimizerSettings:
    """Muon for the weights of all linear layers, Adam for embeddings, count bigram, vectors and scalars."""

    muon_lr: float = 0.04
    muon_momentum: float = 0.95
    muon_momentum_start: float = 0.85  # from which it rises to `muon_momentum`
    muon_momentum_warmup: int = 500  # in so many steps
    muon_weight_decay: float = 0.0
    embedding_lr: float = 0.05
    bigram_lr: float = 0.005  # of the count bigram's logits
    scalar_lr: float = 0.04
    adam_betas: tuple[float, float] = (0.9, 0.95)
    grad_clip: float | None = None


@dataclass(frozen=True)
class Averaging:
    """Weights that are exported instead of the last ones. At most one of both is exported: SWA's if it has any, else EMA's.

    With both, SWA averages the weights of EMA.
    """

    ema_decay: float | None = None
    best_training_loss: bool = False  # export EMA's weights of the step with the least smoothed *training* loss
    swa_from: float | None = None  # the fraction of training from which weights are averaged
    swa_every: int = 50


@dataclass(frozen=True)
class TrainingSettings:
    """Length, batch and schedule of training. Steps are optimizer steps, tokens are those of all ranks."""

    batch_tokens: int = 524_288
    sequence: int = 1024
    steps: int = 20_000
    warmup_steps: int = 20  # in which the learning rate rises
    warmdown: float = 0.06  # the fraction of the run in which the learning rate falls to `final_lr`
    schedule: Literal["linear_warmdown", "cosine_hold_linear"] = "linear_warmdown"
    # `cosine_hold_linear`: cosine to `hold_lr` until `cosine_until`, hold until `hold_until`, linear to `final_lr`.
    cosine_until: int = 0
    hold_until: int = 0
    hold_lr: float = 0.1
    final_lr: float = 0.0
    plateau: float = 0.0  # the last fraction of the run, which stays at `final_lr`; the warm-down ends where it begins
    late_qat_from: float | None = None  # the fraction of training from which weights are rounded in the forward pass
    late_qat_bits: int = 6
    log_every: int = 50
    validate_every: int = 0  # 0: never before the end


@dataclass(frozen=True)
class TestTimeTraining:
    """Score-first test-time training: a chunk is scored before any step on it, and the last is never trained on."""

    __test__ = False  # not a test class of pytest

    chunk: int = 32_768
    epochs: int = 3
    lr: float = 0.002
    momentum: float = 0.9
    sequences_per_step: int = 8  # shared by all ranks
    batch_windows: int = 2  # windows of a chunk that are scored together: 16 windows are 8 batches, one for each rank


@dataclass(frozen=True)
class EvaluationSettings:
    """How the exported weights are scored."""

    sequence: int = 1024
    stride: int | None = None  # each window scores its last `stride` tokens; None scores whole windows side by side
    batch_windows: int = 64
    test_time_training: TestTimeTraining | None = None


@dataclass(frozen=True)
class Budget:
    """Limits of the challenge in seconds and bytes. `reserve` of the training time is kept for calibration and export."""

    training: float = 600.0
    reserve: float = 10.0
    evaluation: float = 600.0
    artifact: int = 16_000_000


class NetworkSettings(Protocol):
    """What all networks have in common: a `TransformerSettings` or a `ManifoldSettings`."""

    @property
    def vocabulary(self) -> int: ...


@dataclass(frozen=True)
class Preset:
    name: str
    summary: str  # one sentence for the README of the submission folder
    network: NetworkSettings
    quantisation: QuantisationPlan
    optimizer: OptimizerSettings = OptimizerSettings()
    training: TrainingSettings = TrainingSettings()
    averaging: Averaging = Averaging()
    evaluation: EvaluationSettings = EvaluationSettings()
    budget: Budget = Budget()
    tiny: bool = False  # an unofficial text and a fixed number of steps: makes no claim


TINY_STEPS = 40
TINY_VOCABULARY = 512
TINY_SEQUENCE = 128


def tiny(preset: Preset) -> Preset:
    """Every technique of a preset, small enough for two CPU cores: it shows that the code works, and nothing else."""
    return replace(
        preset,
        network=tiny_network(preset.network, TINY_STEPS / preset.training.steps),
        training=tiny_training(preset.training),
        averaging=replace(preset.averaging, swa_every=5),
        evaluation=tiny_evaluation(preset.evaluation),
        tiny=True,
    )


def tiny_network(settings: NetworkSettings, steps_ratio: float) -> NetworkSettings:
    match settings:
        case TransformerSettings():
            return replace(
                settings,
                vocabulary=TINY_VOCABULARY,
                width=settings.width // 8,
                rope_dimensions=settings.rope_dimensions and settings.rope_dimensions // 8,
                repeat_from=round(settings.repeat_from * steps_ratio),
                value_embeddings=settings.value_embeddings // 8,
                hashed_bigrams=settings.hashed_bigrams // 8,
                hashed_bigram_width=settings.hashed_bigram_width // 8,
            )
        case ManifoldSettings():
            return replace(
                settings,
                vocabulary=TINY_VOCABULARY,
                physics_steps=100,
                modes=24,
                svd_coordinates=8,
                width=40,
                mlp_width=160,
            )
        case _:
            raise TypeError(f"no tiny form of {settings}")


def tiny_training(settings: TrainingSettings) -> TrainingSettings:
    ratio = TINY_STEPS / settings.steps
    return replace(
        settings,
        batch_tokens=8 * TINY_SEQUENCE,
        sequence=TINY_SEQUENCE,
        steps=TINY_STEPS,
        warmup_steps=min(2, settings.warmup_steps),
        cosine_until=round(settings.cosine_until * ratio),
        hold_until=round(settings.hold_until * ratio),
        log_every=10,
    )


def tiny_evaluation(settings: EvaluationSettings) -> EvaluationSettings:
    adaptation = settings.test_time_training
    return replace(
        settings,
        sequence=TINY_SEQUENCE,
        stride=settings.stride and TINY_SEQUENCE // 4,
        batch_windows=16,
        test_time_training=adaptation and replace(adaptation, chunk=8 * TINY_SEQUENCE),
    )
