"""What tells a run from every other: the losses that it printed."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

from pgaudit.evidence.logs import Log

LEAST_STEPS = 10
"""Fewer printed losses may agree by chance."""


def fingerprint(log: Log) -> str | None:
    """A hash of the training losses in order, the same for every copy of a log; ``None`` where there are too few."""
    losses = [f"{step.step}:{step.train_loss}" for step in log.train_steps]
    return sha256(" ".join(losses).encode()).hexdigest()[:16] if len(losses) >= LEAST_STEPS else None


@cache
def accepted(index: Path) -> dict[str, str]:
    """Fingerprints of the logs of accepted records, with the folder of each: a file that ``tests.accuracy.accepted`` writes."""
    known: dict[str, str] = json.loads(index.read_text("utf-8"))
    return known
