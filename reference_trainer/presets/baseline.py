"""The network and the learning rates of the challenge's own root script: nine layers of width 512, Muon and Adam, int8, zlib.

That script's published run scores 1.2244 bits per byte after 600 s on 8xH100. 17,059,912 parameters, as there. What differs:
weights begin normal in place of uniform, with 0.87 of the standard deviation; the embedding is float32 in training, there
bfloat16; rows reach to their largest magnitude, there to their 99.99984 % quantile; the learning rate falls over a fraction of
the run, there over a number of steps; nothing is validated before the end; there a few steps compile the network and are
taken back, here compilation takes none.

Without a source: the warm-down of 0.09.
"""

from reference_trainer.preset import OptimizerSettings, Preset, TrainingSettings, TransformerSettings
from reference_trainer.quantisation import MaxClip, QuantisationPlan, RowFormat

PRESET = Preset(
    name="baseline",
    summary="Nine layers of width 512 with skips between the halves of the network, Muon and Adam, int8 rows and zlib.",
    network=TransformerSettings(
        vocabulary=1024,
        layers=9,
        width=512,
        heads=8,
        kv_heads=4,
        mlp_ratio=2,
        unet_skips=True,
        skips_from_middle=True,
    ),
    optimizer=OptimizerSettings(muon_lr=0.04, muon_momentum=0.95, embedding_lr=0.05, scalar_lr=0.04),
    training=TrainingSettings(batch_tokens=524_288, sequence=1024, warmup_steps=0, warmdown=0.09),
    quantisation=QuantisationPlan(formats=(("*.weight", RowFormat(8, MaxClip())),), codec="zlib"),
)
