"""Eleven layers with U-Net skips, late quantisation-aware training, and legal test-time training.

Layers 0-5 encode, 6-10 decode. Weights are EMA's, averaged over a plateau of the learning rate at the end (SWA). At
evaluation each chunk of 32,768 tokens is scored before any step on it.

Without a source, chosen here: the learning rates of Adam's groups, the warm-up of the learning rate and of Muon's momentum,
the warm-down with its plateau, the batch, the sequence, the MLP ratio, with which the artifact is below the cap right after
initialisation, and the epochs and the learning rate of test-time training.
"""

from reference_trainer.preset import (
    Averaging,
    EvaluationSettings,
    OptimizerSettings,
    Preset,
    TestTimeTraining,
    TrainingSettings,
    TransformerSettings,
)
from reference_trainer.quantisation import MaxClip, PercentileClip, QuantisationPlan, RowFormat

PRESET = Preset(
    name="unet-ttt",
    summary="Eleven layers with U-Net skips, late int6 QAT, EMA and SWA, and score-first test-time training.",
    network=TransformerSettings(
        vocabulary=1024,
        layers=11,
        width=512,
        heads=8,
        kv_heads=4,
        mlp_ratio=2.25,  # 2.5 is too large for the cap: int6 rows of normal weights hold 5.4 bits per weight
        activation="leaky_relu_squared",
        rope_dimensions=16,
        exclusive_last=4,
        scale_norm_by_depth=True,
        unet_skips=True,
        value_embeddings=128,
        value_embedding_layers=(9, 10),
    ),
    optimizer=OptimizerSettings(
        muon_lr=0.025,
        muon_momentum=0.99,
        muon_momentum_start=0.92,
        muon_momentum_warmup=1500,
        muon_weight_decay=0.04,
        embedding_lr=0.035,
        scalar_lr=0.025,
        grad_clip=0.3,
    ),
    training=TrainingSettings(
        batch_tokens=786_432,
        sequence=2048,
        warmdown=0.4,
        final_lr=0.05,
        plateau=0.1,
        late_qat_from=0.85,
        late_qat_bits=6,
    ),
    averaging=Averaging(ema_decay=0.997, swa_from=0.9, swa_every=50),
    quantisation=QuantisationPlan(
        formats=(
            ("embedding.weight", RowFormat(8, MaxClip())),
            ("*.weight", RowFormat(6, PercentileClip((0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0)))),  # GPTQ-lite
        ),
        codec="zstd",
    ),
    evaluation=EvaluationSettings(sequence=2048, test_time_training=TestTimeTraining(chunk=32_768)),
)
