"""What a run of the probe leaves behind: what it printed, and every vector that was summed on the way. JSON and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
ARRAYS, DOCUMENT = "record.npz", "record.json"
"""The two files of a run's record."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the submission's source that reduces or accumulates."""

    path: str
    line: int
    kind: str
    """``loss``, ``reduce``, ``add``, or ``fit`` for a sum that gradients flow from."""
    into: str = ""
    """What is added to."""

    @property
    def place(self) -> tuple[str, str | int]:
        """Where sums come together: one total may be added to on several lines."""
        return (self.path, self.into) if self.into else (f"{self.path} {self.kind}", self.line)


@dataclass(frozen=True)
class RunRecord:
    """One run of the submission on one text."""

    name: str
    ending: str
    """``finished``, or how it ended: an exception, a limit."""
    printed: tuple[tuple[int, str], ...]
    """Every printed line, with the number of calls that were recorded before it."""
    sites: tuple[Site, ...]
    calls: tuple[int, ...]
    """The site of every recorded call, by index, in order."""
    offsets: NDArray[np.int64]
    """Call ``i`` recorded ``values[offsets[i]:offsets[i + 1]]``."""
    values: Vector
    changes: tuple[dict[str, Any], ...] = ()
    """What was shrunk: name, old, new, reason."""
    substituted: tuple[str, ...] = ()
    """What the host put in place of what is not on this machine."""
    seconds: float = 0.0


class Condition(StrEnum):
    """What is measured."""

    CAUSAL = "C1 causal"
    """A score depends on no token after its own."""
    NORMALISED = "C2 normalised"
    """The probabilities of all tokens at one place sum to at most one."""
    SCORED_FIRST = "C3/C4 scored first"
    """Nothing learns from a token before it is scored; nothing is scored again afterwards."""
    BYTES = "byte count"
    """The score is divided by the bytes of the text that was scored."""


class Outcome(StrEnum):
    """What a measurement came to."""

    VIOLATED = "violated"
    HOLDS = "holds"
    NOT_EXERCISED = "not exercised"
    COULD_NOT_RUN = "could not run"


@dataclass(frozen=True)
class Measurement:
    """One condition and what was measured of it."""

    condition: Condition
    outcome: Outcome
    sentence: str
    """One sentence of fact."""
    site: Site | None = None
    """The line that summed the scores."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """JSON values behind the sentence."""
