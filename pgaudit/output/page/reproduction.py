"""The page of a re-run: what it says in one sentence, its claims, and the pictures of what was measured."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgaudit.output.page import render
from pgaudit.output.page.bars import Bar, Bars, bar_picture
from pgaudit.output.page.chart import Picture
from pgaudit.output.page.curves import loss_picture
from pgaudit.output.page.equivalence import equivalence_picture
from pgaudit.output.reproduction import (
    bounds_in_words,
    curves_in_words,
    hardware_in_words,
    headline,
    remarks_of,
    verdict_of,
)
from pgaudit.policy import Edition
from pgaudit.report import Report
from pgaudit.reproduce.curves import Curve, Overlay
from pgaudit.reproduce.outcome import Reproduction, Result
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult

MOST_ROWS = 24
"""Of a curve's table: so many steps of all, and so many of those with a validation."""
KINDS = {"holds": "good", "fails": "bad"}
"""How a status is coloured; everything else is open."""
VERBS = {Result.HOLDS: "holds", Result.FAILS: "fails", Result.INCOMPLETE: "is not decided"}


@dataclass(frozen=True, slots=True)
class Losses:
    """One seed's curve: in words, as a picture, as a table of steps."""

    seed: int
    log: str
    words: str
    picture: Picture | None
    rows: tuple[tuple[str, ...], ...]


def page(run: Reproduction, report: Report, edition: Edition, made_by: str) -> str:
    """The whole page. ``made_by`` is the command that made it, to be run again."""
    return render(
        "reproduction.html.j2",
        run=run,
        report=report,
        kinds=KINDS,
        verb=VERBS[run.result],
        sentence=headline(run),
        verdict=verdict_of(report),
        other_schedule=not (run.plan.hardware.is_reference or all(seed.by_steps for seed in run.seeds)),
        equivalence=equivalence_picture(run.score, _score_words(run)) if run.score else None,
        losses=tuple(_losses(run)),
        times=_times(run, edition) if run.seeds else None,
        sizes=_sizes(run, edition) if run.seeds else None,
        seed_rows=tuple(_seed_rows(run)),
        machine=tuple(_machine(run)),
        remarks=remarks_of(run),
        made_by=made_by,
        commands=tuple((seed, shlex.join(run.plan.command(seed))) for seed in run.plan.seeds),
    )


def _score_words(run: Reproduction) -> str:
    check = next(check for check in run.checks if check.name == "val_bpb")
    return f"The claim {check.status}: {check.because}."


def _losses(run: Reproduction) -> Iterator[Losses]:
    curves = {seed.seed: seed.curve for seed in run.seeds}
    said = dict(curves_in_words(run))
    for overlay in run.overlays:
        rerun, words = curves[overlay.seed], said[overlay.seed]
        rows = tuple(_rows(overlay, rerun))
        yield Losses(overlay.seed, overlay.log, words, loss_picture(overlay, rerun, words), rows)


def _rows(overlay: Overlay, rerun: Curve) -> Iterator[tuple[str, ...]]:
    """Step, training loss of re-run and log, their difference, validation loss of both; the step of a parting is kept."""
    curves = (rerun, overlay.submitted)
    train = [{point.step: point.loss for point in curve.train} for curve in curves]
    validation = [{point.step: point.loss for point in curve.validation} for curve in curves]
    difference = dict(overlay.differences)
    steps = sorted({step for found in (*train, *validation) for step in found})
    validated = sorted({step for found in validation for step in found})
    kept = {step for known in (steps, validated) for step in known[:: -(-len(known) // MOST_ROWS) or 1]} | {*steps[-1:]}
    kept |= {parting.step for parting in (overlay.train, overlay.validation) if parting}
    for step in sorted(kept):
        values = [found.get(step) for found in (*train, *validation)]
        cells = ["" if value is None else f"{value:.4f}" for value in values]
        apart = f"{difference[step]:+.4f}" if step in difference else ""
        yield (f"{step:,}", *cells[:2], apart, *cells[2:])


def _times(run: Reproduction, edition: Edition) -> Picture:
    plan = run.plan
    limits = {name: edition[f"{name}_seconds"].applied for name in ("train", "eval")}
    if plan.own_limits:
        limits = {"train": plan.bounds.training, "eval": plan.bounds.evaluation}
    whose = "limit of the caller" if plan.own_limits else "limit"
    start = tuple(
        Bar(f"seed {seed.seed}", _parts("observed", seed.first_step), _seconds(seed.first_step)) for seed in run.seeds
    )
    blocks = (
        Bars("Start, to the first step (no limit)", start),
        Bars(f"Training, {whose} {limits['train']:g} s", _bars(run.seeds, "training"), limits["train"]),
        Bars(f"Evaluation, {whose} {limits['eval']:g} s", _bars(run.seeds, "evaluation"), limits["eval"]),
    )
    words = "; ".join(
        f"seed {seed.seed}: start {_seconds(seed.first_step)}, training {_seconds(seed.training)} observed and "
        f"{_seconds(seed.reported_training)} reported, evaluation {_seconds(seed.evaluation)} observed and "
        f"{_seconds(seed.reported_evaluation)} reported"
        for seed in run.seeds
    )
    return bar_picture("times", "Stage times against the limits, in seconds", words, blocks, "{:,g} s".format)


def _bars(seeds: Sequence[SeedResult], stage: str) -> tuple[Bar, ...]:
    return tuple(bar for seed in seeds for bar in _observed_and_reported(seed, stage))


def _observed_and_reported(seed: SeedResult, stage: str) -> Iterator[Bar]:
    """Of training the part between lines of steps is certain; the rest may be validation, which stops the challenge's clock."""
    if stage == "training":
        observed, reported = seed.training, seed.reported_training
        rest = max((observed or 0.0) - seed.stepping, 0.0)
        parts = (*_parts("observed", seed.stepping), *_parts("rest", rest))
    else:
        observed, reported = seed.evaluation, seed.reported_evaluation
        parts = _parts("observed", observed)
    yield Bar(f"seed {seed.seed}", parts, _seconds(observed))
    yield Bar("as reported", _parts("reported", reported), _seconds(reported))


def _parts(kind: str, size: float | None) -> tuple[tuple[str, float], ...]:
    return ((kind, size),) if size else ()


def _seconds(value: float | None) -> str:
    return "not seen" if value is None else f"{value:,.1f} s"


def _sizes(run: Reproduction, edition: Edition) -> Picture:
    limit = edition["artifact_bytes"].applied
    bars = tuple(bar for seed in run.seeds for bar in _weighed_and_reported(seed))
    words = "; ".join(
        f"seed {seed.seed}: code {seed.code_bytes:,} B, model {_bytes(seed.model_bytes)}, together {_bytes(seed.total_bytes)}, "
        f"reported {_bytes(seed.reported_total_bytes)}"
        for seed in run.seeds
    )
    block = Bars(f"Model and code, limit {limit:,.0f} B", bars, limit)
    return bar_picture(
        "sizes", "Sizes against the limit, in bytes", words, (block,), lambda value: f"{value / 1e6:g} MB"
    )


def _weighed_and_reported(seed: SeedResult) -> Iterator[Bar]:
    parts = (*_parts("observed", seed.model_bytes), *_parts("rest", seed.code_bytes))
    yield Bar(f"seed {seed.seed}", parts if seed.model_bytes is not None else (), _bytes(seed.total_bytes))
    yield Bar("as reported", _parts("reported", seed.reported_total_bytes), _bytes(seed.reported_total_bytes))


def _bytes(value: int | None) -> str:
    return "not seen" if value is None else f"{value:,} B"


def _seed_rows(run: Reproduction) -> Iterator[tuple[str, ...]]:
    for seed in run.seeds:
        times = (seed.first_step, seed.training, seed.reported_training, seed.evaluation, seed.reported_evaluation)
        yield (
            str(seed.seed),
            *("" if score is None else f"{score:.6f}" for score in (seed.val_bpb, seed.val_loss)),
            *("" if time is None else f"{time:,.1f}" for time in times),
            *("" if size is None else f"{size:,}" for size in (seed.total_bytes, seed.reported_total_bytes)),
            f"{seed.peak_bytes / 2**20:,.0f} MiB" if seed.peak_bytes else "",
            seed.ending,
        )


def _machine(run: Reproduction) -> Iterator[tuple[str, str]]:
    plan = run.plan
    yield "Hardware", plan.hardware.name
    alike: dict[str, list[str]] = {}
    for gpu in plan.hardware.gpus:
        kind = f"{gpu.name}, {gpu.total_mib:,} MiB, at most {gpu.clock_mhz:,} MHz"
        alike.setdefault(kind, []).append(str(gpu.index))
    yield from ((f"GPU {', '.join(indices)}", kind) for kind, indices in alike.items())
    for line in hardware_in_words(run):
        name, _, text = line.partition(": ")
        yield name[:1].upper() + name[1:], text
    if run.seeds:
        yield (
            "Memory at most",
            f"{max(seed.peak_bytes for seed in run.seeds) / 2**20:,.0f} MiB, resident, all processes",
        )
        yield "Processes at most", f"{max(seed.peak_processes for seed in run.seeds):,}, threads counted"
    yield "Interpreter", f"{plan.interpreter.path} (Python {plan.interpreter.version})"
    yield "Command from", plan.command_source
    yield from _data(plan)
    yield "Ended after", bounds_in_words(plan.bounds)
    yield "Plan", plan.digest


def _data(plan: Plan) -> Iterator[tuple[str, str]]:
    if data := plan.data:
        yield "Data", f"{data.folder}: {data.train_shards} training shards, {data.train_tokens:,} tokens"
        yield "Validation", f"{data.val_shards} shards, {data.val_tokens:,} tokens, sha256 {data.val_sha256}"
    else:
        yield "Data", "none named; the run finds what the submission brings"
