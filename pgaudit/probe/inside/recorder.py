"""What rewritten code calls: it does what the code did, and notes what was summed."""

from __future__ import annotations

import json
import types
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgaudit.probe.record import ARRAYS, DOCUMENT
from pgaudit.probe.shrink import Number, Shrinker

MOST_VALUES = 20_000
"""Elements of one operand; longer ones are weights or logits, not scores."""
MOST_IN_ALL = 40_000_000
REMEMBERED = 32
"""Results of reductions; what is added is one of the last."""


@dataclass
class Recorder:
    """Everything that one run reduces, accumulates and prints."""

    shrinker: Shrinker
    sites: dict[tuple[str, int, str, str], int] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=lambda: [0])
    values: list[np.ndarray] = field(default_factory=list)
    printed: list[tuple[int, str]] = field(default_factory=list)
    _sums: deque[tuple[object, np.ndarray]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """The last results of reductions, and what they are the sums of."""

    def note(self, path: str, line: int, kind: str, operand: object, into: str = "") -> None:
        """Keep the numbers of an operand, if they may be scores; of a sum, the numbers that it is of."""
        vector = self.summed(operand)
        vector = _vector(operand) if vector is None else vector
        if vector is None or self.offsets[-1] > MOST_IN_ALL:
            return
        site = self.sites.setdefault((path, line, kind, into), len(self.sites))
        self.calls.append(site)
        self.values.append(vector)
        self.offsets.append(self.offsets[-1] + len(vector))

    def remember(self, result: object, operand: object) -> None:
        """A reduction has come to ``result``: the same object may be added to something next."""
        vector = self.summed(operand)
        vector = _vector(operand) if vector is None else vector
        if vector is not None:
            self._sums.append((result, vector))

    def summed(self, value: object) -> np.ndarray | None:
        """What a number is the sum of, if it is the result of a reduction itself."""
        return next((vector for result, vector in reversed(self._sums) if result is value), None)

    def says(self, text: str) -> None:
        """What the submission prints, line by line."""
        self.printed += [(len(self.calls), line) for line in text.splitlines()]

    def save(self, folder: Path, **more: Any) -> None:
        """Write the record for ``probe.reading`` to read."""
        np.savez(
            folder / ARRAYS,
            values=np.concatenate(self.values) if self.values else np.zeros(0),
            offsets=np.array(self.offsets, dtype=np.int64),
            calls=np.array(self.calls, dtype=np.int64),
        )
        document = {"sites": list(self.sites), "printed": self.printed, **more}
        (folder / DOCUMENT).write_text(json.dumps(document), "utf-8")


@dataclass(frozen=True, slots=True)
class Probe:
    """The recorder as one module of the submission sees it, under the name ``__probe__``."""

    recorder: Recorder
    path: str

    def reduce(self, line: int, operand: Any, name: str, *args: Any, **named: Any) -> Any:
        """``operand.name(*args)``; of a module's function the operand is its first argument."""
        result = getattr(operand, name)(*args, **named)
        if _is_scalar(result):
            if isinstance(operand, types.ModuleType) or not hasattr(operand, "dtype"):
                operand = args[0] if args else None
            self.recorder.note(self.path, line, "reduce", operand)
            if name in ("sum", "nansum", "item"):
                self.recorder.remember(result, operand)
            self._fit(line, result)
        return result

    def loss(self, line: int, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """A loss, with the loss of each element beside it."""
        result = function(*args, **named)
        try:
            each = result
            if isinstance(result, torch.Tensor) and result.numel() == 1:
                with torch.no_grad():
                    each = function(*args, **{**named, "reduction": "none"})
            self.recorder.note(self.path, line, "loss", each)
            self._fit(line, result)
        except (TypeError, RuntimeError, ValueError):
            pass  # a function of the submission's own that is called like a loss
        return result

    def _fit(self, line: int, result: object) -> None:
        """A number that gradients flow from: something is being fitted."""
        if isinstance(result, torch.Tensor) and result.requires_grad and result.numel() == 1:
            self.recorder.note(self.path, line, "fit", result)

    def add(self, line: int, into: str, value: Any) -> Any:
        """What is added to ``into``."""
        if type(value) is not int:
            self.recorder.note(self.path, line, "add", value, into)
        return value

    def size(self, name: str, value: Number) -> Number:
        """A size of the source."""
        return self.recorder.shrinker.size(name, value)


def _is_scalar(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    return isinstance(value, (float, int, np.floating))


def _vector(operand: object) -> np.ndarray | None:
    """The numbers of an operand as float64; ``None`` for what is no small vector of floats."""
    if isinstance(operand, torch.Tensor):
        if not operand.is_floating_point() or not 0 < operand.numel() <= MOST_VALUES or operand.is_meta:
            return None
        try:
            return operand.detach().to(torch.float64).reshape(-1).numpy().copy()
        except RuntimeError:
            return None  # one of torch.vmap's
    if isinstance(operand, np.ndarray):
        if operand.dtype.kind != "f" or not 0 < operand.size <= MOST_VALUES:
            return None
        return operand.astype(np.float64).reshape(-1)
    if isinstance(operand, (float, np.floating)):
        return np.array([float(operand)])
    if (
        isinstance(operand, (list, tuple))
        and 0 < len(operand) <= MOST_VALUES
        and all(isinstance(x, float) for x in operand)
    ):
        return np.array(operand)
    return None
