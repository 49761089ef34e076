"""Bytes of the full-size presets after a few steps on synthetic words: `python -m tests.reference_trainer.sizes [PRESET ...]`.

Trains, quantises, packs, reads back and scores a network of full size on a CPU, which takes minutes a preset. Exit status 1 says
that one is over the cap.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle
from reference_trainer.data import write_data
from reference_trainer.distributed import join_ranks
from reference_trainer.preset import Preset
from reference_trainer.run import RunResult, run
from reference_trainer.speed import synthetic_documents

STEPS = 8
SEQUENCE = 128
DOCUMENTS = 400


def main(names: list[str]) -> int:
    over = False
    for name in names or list(PRESETS):
        result = measured(PRESETS[name])
        over |= result.bytes_total >= PRESETS[name].budget.artifact
        print(f"{name}: model {result.model_bytes:,} bytes, with code {result.bytes_total:,} bytes")
    return int(over)


def measured(preset: Preset) -> RunResult:
    """The run of a preset with short batches and sequences; everything that the artifact holds has its full size."""
    short = replace(
        preset,
        training=replace(preset.training, batch_tokens=8 * SEQUENCE, sequence=SEQUENCE, steps=STEPS, log_every=STEPS),
        evaluation=replace(preset.evaluation, sequence=SEQUENCE, stride=None, test_time_training=None),
        budget=replace(preset.budget, training=3600.0),
    )
    vocabulary = preset.network.vocabulary
    with tempfile.TemporaryDirectory() as folder, join_ranks() as ranks:
        out = Path(folder)
        files = write_data(synthetic_documents(vocabulary)[:DOCUMENTS], vocabulary, out / "data", 0.01)
        return run(short, 1337, files, bundle(preset), out / "logs", out / "final_model.bin", ranks)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
