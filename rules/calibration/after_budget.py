"""Training data is read for calibration after the training time is used up.

## What it flags
Weights that are set from statistics of training tokens (GPTQ Hessians, activation scales) in a run whose training loop goes on
until the whole training budget is spent.

## Why it is illegal
Everything is either training or evaluation; there is no third phase without a clock. Training data may be read only inside the
600 seconds of training, so a calibration on it after those 600 seconds is access to training data during evaluation.

## How it decides
The script is walked under the effective configuration. A finding needs a reported score whose weights were set from activations
of training tokens, outside every loop that trains, and a training clock that ran to the limit: by the log's training time, or,
where no log states one, by the number of seconds that the training loop compares its clock with. A run that stops early to keep
time for calibration is not flagged, however short the reserve: rows that overran by a few seconds in that way were merged.

## Known limits
The rule is about record submissions: the other track has no time limit. The time that the calibration itself takes is not judged here,
nor is what follows a training that took far too long itself, which `time/training` finds.

## How to fix
Stop training early enough that calibration ends within the 600 seconds, or calibrate on text that the model generates.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pgaudit.engine.queries import calibrated_on_training
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import Run
from pgaudit.finding import Finding, Gap, Location, Step
from pgaudit.judging import Hit, judge
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="calib-train-after-budget",
    leads_to="illegal",
    conditions=(),
    rulings=(
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-24",
            "#593",
            "Calibration that reuses training data at evaluation time counts in the 600 s.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "valerio-oai",
            "2026-03-25",
            "#706",
            "Even 3.6 s of calibration after the 600 s of training are not allowed.",
        ),
    ),
)

SHORTEST_BUDGET = 0.5
"""Of the budget: a limit below this part of it bounds something else than training."""
LONGEST_TRAINING = 1.1
"""Of the budget: a run that trained longer broke the limit by its training (`time/training`), whatever came after it."""


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Ask for calibrations on training data in a run that trained until its time was up."""
    if evidence.submission.track != "non-record":
        yield from judge(RULE, evidence, partial(_hits, evidence))


def _hits(evidence: Evidence, run: Run) -> Iterator[Hit]:
    if run.score is None:
        return
    for hit in calibrated_on_training(run.walk, run.score):
        spent = _clock_ran_out(evidence, run, hit.update.number)
        if spent is None:
            continue
        steps = (
            spent,
            *run.entered(hit.update.place),
            run.step(hit.update, "the weights are set from statistics of training tokens here"),
            *run.entered(hit.score.place, after=hit.update.place),
            run.step(hit.score, "they are scored here"),
            run.step(run.score, "the score is printed here"),
        )
        yield Hit(
            "training data is read for calibration after the training time is used up",
            run.at(hit.update.place.spot),
            steps,
        )


def _clock_ran_out(evidence: Evidence, run: Run, calibration: int) -> Step | None:
    """What shows that training went on until the budget was spent, before the event of that number."""
    budget = evidence.edition["train_seconds"].applied
    scored = [evidence.scored_log] if evidence.scored_log else []
    logs = (scored, evidence.logs)  # training and evaluation may have a log each
    times = next(
        filter(None, ([t for log in group for t in log.timings if t.name == "train_time"] for group in logs)), []
    )
    if times:
        last = max(times, key=lambda timing: timing.seconds)
        ran_out = budget <= last.seconds <= LONGEST_TRAINING * budget
        return Step(last.location, f"training took {last.seconds:g} s of {budget:g} s") if ran_out else None
    limits = {
        spot: limit.seconds
        for spot, limit in run.walk.limits.items()
        if limit.seconds >= SHORTEST_BUDGET * budget and limit.number <= calibration
    }
    if not limits or min(limits.values()) < budget:
        return None
    spot = next(iter(limits))
    where: Location = run.at(spot)
    return Step(where, f"training goes on until {limits[spot]:g} s have passed")
