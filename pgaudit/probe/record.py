"""What a run of the probe leaves behind: what it printed, and every vector that was summed on the way. JSON and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the submission's source that reduces or accumulates."""

    path: str
    line: int
    kind: str
    """``loss``, ``reduce`` or ``add``."""


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
