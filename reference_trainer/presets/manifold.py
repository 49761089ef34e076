"""A frozen token manifold from corpus co-occurrence, and four hops of message passing over it. Strictly causal.

Without a source, chosen here: the step at which training ends, the batch, the sequence, the learning rates (those of `baseline`),
the warm-up, and the constants of the physics in `ManifoldSettings`.
"""

from reference_trainer.manifold.settings import ManifoldSettings
from reference_trainer.preset import Averaging, EvaluationSettings, Preset, TrainingSettings
from reference_trainer.quantisation import PercentileClip, QuantisationPlan, RowFormat

SEQUENCE = 256
INT8 = RowFormat(8, PercentileClip((0.99, 0.999, 0.9999, 0.99999, 1.0)))

PRESET = Preset(
    name="manifold",
    summary="Four shared-weight hops of sparsemax message passing over a frozen manifold of tokens, strictly causal.",
    network=ManifoldSettings(),
    quantisation=QuantisationPlan(
        formats=(("spectrum", INT8), ("*.weight", INT8)),
        codec="zlib",
    ),
    training=TrainingSettings(
        batch_tokens=524_288,
        sequence=SEQUENCE,
        steps=6_500,
        schedule="cosine_hold_linear",
        cosine_until=3_400,
        hold_until=5_500,
        hold_lr=0.1,
    ),
    averaging=Averaging(ema_decay=0.999, best_training_loss=True),
    evaluation=EvaluationSettings(sequence=SEQUENCE),
)
