"""A clock that only the submission's own look at it moves: schedules by time come out the same in every run."""

from __future__ import annotations

import time
import types

TICK = 0.01
"""Seconds that pass between two looks."""
PATIENCE, DOUBLING = 1000, 100
"""Looks after which time runs faster, so that what waits for a budget ends, and those in which its speed doubles."""


class Clock:
    """Virtual seconds since the start."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.looks = 0

    def seconds(self) -> float:
        self.looks += 1
        self.now += TICK * 2 ** min(20, max(0, self.looks - PATIENCE) // DOUBLING)
        return self.now

    def nanoseconds(self) -> int:
        return int(self.seconds() * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def module(clock: Clock) -> types.ModuleType:
    """The module ``time`` with this clock."""
    shim = types.ModuleType("time")
    vars(shim).update({name: value for name, value in vars(time).items() if not name.startswith("__")})
    for name in ("time", "perf_counter", "monotonic", "process_time", "thread_time"):
        setattr(shim, name, clock.seconds)
        setattr(shim, f"{name}_ns", clock.nanoseconds)
    shim.sleep = clock.sleep  # type: ignore[attr-defined]
    return shim
