"""A vocabulary of 8,192, fourteen virtual layers of eleven, and full GPTQ with clips at k standard deviations of a row.

Layers 3-5 run twice from step 2,000 on. A clip of 12.85 standard deviations makes int6 codes so coarse that they compress
to 3.4 bits per weight: the size is that of the entropy, not that of the integers.

Without a source, chosen here: the learning rates of Adam's groups, the warm-up of the learning rate and of Muon's momentum,
the batch, the sequence and the MLP ratio, with which the artifact is below the cap right after initialisation.
"""

from reference_trainer.preset import (
    Averaging,
    Budget,
    EvaluationSettings,
    OptimizerSettings,
    Preset,
    TrainingSettings,
    TransformerSettings,
)
from reference_trainer.quantisation import DeviationClip, QuantisationPlan, RowFormat

PRESET = Preset(
    name="sp8192-sdclip",
    summary="Vocabulary 8192, eleven layers of which three run twice, parallel residuals, EMA, full-Hessian GPTQ and brotli.",
    network=TransformerSettings(
        vocabulary=8192,
        layers=11,
        width=512,
        heads=8,
        kv_heads=4,
        mlp_ratio=3.625,  # 4 is too large for the cap
        activation="leaky_relu_squared",
        softcap=30.0,
        qk_gain=5.0,
        exclusive_last=11,
        unet_skips=True,
        skip_gates=True,
        repeated=(3, 4, 5),
        repeat_from=2000,
        parallel_from=7,
        value_embeddings=128,
        value_embedding_layers=(9, 10),
    ),
    optimizer=OptimizerSettings(
        muon_lr=0.022,
        muon_momentum=0.99,
        muon_momentum_start=0.92,
        muon_momentum_warmup=1500,
        muon_weight_decay=0.095,
        embedding_lr=0.03,
        scalar_lr=0.02,
        grad_clip=0.3,
    ),
    training=TrainingSettings(batch_tokens=786_432, sequence=2048, warmdown=0.72),
    averaging=Averaging(ema_decay=0.9965),
    quantisation=QuantisationPlan(
        formats=(
            ("embedding.weight", RowFormat(8, DeviationClip(20.0))),
            ("*.weight", RowFormat(6, DeviationClip(12.85))),
        ),
        method="gptq",
        codec="brotli",
    ),
    evaluation=EvaluationSettings(sequence=2048, stride=64),
    budget=Budget(training=600.0, reserve=10.0),  # 590 s of training; the Hessians take the rest
)
