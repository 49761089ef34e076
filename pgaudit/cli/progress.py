"""What a person sees while a submission runs: one line that changes on a terminal, one line per seed in a pipe."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from pgaudit.output.escape import plain
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.runner import Observer
from pgaudit.reproduce.stages import Stage, Stages

EVERY = 0.5
"""Seconds between two changes of the line."""
WIDTH = 110


@dataclass
class _Line:
    """The line of one seed on a terminal."""

    plan: Plan
    seed: str = ""
    shown: float = 0.0

    def begin(self, seed: str) -> None:
        self.seed, self.shown = seed, 0.0
        if not sys.stderr.isatty():
            say(f"seed {seed}: started")

    def line(self, stages: Stages, now: float) -> None:
        if not sys.stderr.isatty() or time.monotonic() - self.shown < EVERY:
            return
        self.shown = time.monotonic()
        sys.stderr.write(f"\r{plain(status(self.seed, stages, now, self.plan))[:WIDTH]:{WIDTH}}")
        sys.stderr.flush()

    def done(self, result: SeedResult) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{'':{WIDTH}}\r")
        score = f", val_bpb {result.val_bpb:.6f}" if result.val_bpb is not None else ""
        say(f"seed {result.label}: {result.ending} after {result.seconds:.0f} s{score}")


def progress(plan: Plan) -> Observer:
    """An observer that writes to standard error."""
    line = _Line(plan)
    return Observer(line.begin, line.line, line.done)


def status(seed: str, stages: Stages, now: float, plan: Plan) -> str:
    """Stage, step, loss, the time left by the pace so far, and the clock against the stage's limit."""
    words = [f"seed {seed}", stages.stage.value]
    steps = stages.reader.train_steps
    if stages.stage is Stage.TRAINING and steps and stages.first_step is not None:
        last = steps[-1]
        words += [f"step {last.step}/{last.total}", f"loss {last.train_loss:.4f}"]
        done = last.step - steps[0].step
        if done > 0 and stages.last_step is not None:
            pace = (stages.last_step - stages.first_step) / done
            words.append(f"{max(last.total - last.step, 0) * pace:.0f} s left at this pace")
        words.append(f"{stages.stepping:.0f} of {plan.bounds.training:g} s")
    elif stages.stage is Stage.EVALUATING and stages.trained is not None:
        words.append(f"{now - stages.trained:.0f} of {plan.bounds.evaluation:g} s")
    return " · ".join([*words, f"{now:.0f} s in all"])


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()
