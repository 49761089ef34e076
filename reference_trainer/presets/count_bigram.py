"""Ten layers beside an exact table of bigram counts, which speaks in the logits from the first step.

The table holds log p(b|a) - log p(b) for all 1024 x 1024 pairs in 524,288 bytes of int4. The rest: hashed bigram
embedding, exclusive self-attention in the last four layers, partial RoPE, depth-scaled norms, SWA, pruning, int5 and int6.

Without a source, chosen here: the learning rates of Adam's groups, the warm-up of the learning rate and of Muon's momentum,
the warm-down, the batch, the sequence and the MLP ratio, with which the artifact is below the cap right after initialisation.
SWA "at 40 %" is read literally: it begins after 40 % of training.
"""

from reference_trainer.preset import (
    Averaging,
    EvaluationSettings,
    OptimizerSettings,
    Preset,
    TrainingSettings,
    TransformerSettings,
)
from reference_trainer.quantisation import MaxClip, QuantisationPlan, RowFormat

PRESET = Preset(
    name="count-bigram",
    summary="Ten layers beside an exact count-bigram logit table in int4, with SWA, pruning, and int5 and int6 rows in zstd.",
    network=TransformerSettings(
        vocabulary=1024,
        layers=10,
        width=512,
        heads=8,
        kv_heads=4,
        mlp_ratio=3,
        activation="leaky_relu_squared",
        rope_dimensions=16,
        exclusive_last=4,
        scale_norm_by_depth=True,
        count_bigram=True,
        hashed_bigrams=4096,
        hashed_bigram_width=128,
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
    training=TrainingSettings(batch_tokens=786_432, sequence=2048, warmdown=0.45),
    averaging=Averaging(swa_from=0.4, swa_every=50),
    quantisation=QuantisationPlan(
        formats=(
            ("count_bigram.weight", RowFormat(4, MaxClip())),  # the rounding that it was trained with
            ("blocks.*.mlp.*.weight", RowFormat(5, MaxClip())),
            ("embedding.weight", RowFormat(8, MaxClip())),
            ("*.weight", RowFormat(6, MaxClip())),
        ),
        prune=0.03,
        codec="zstd",
    ),
    evaluation=EvaluationSettings(sequence=2048, stride=64),
)
