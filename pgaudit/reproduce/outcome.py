"""Which claims hold, by what was measured: the checks of every re-run (``val_bpb``, ``size``, ``training time``, ``evaluation time``,
``reported times``) and the result of all. Says nothing about whether the score is legal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from pgaudit.evidence.claims import Claims
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import byte_count, number
from pgaudit.level import TOLERANCE
from pgaudit.policy import Edition
from pgaudit.reproduce import divisor, significance
from pgaudit.reproduce.calibration import Calibration
from pgaudit.reproduce.check import OPEN, Check, Status
from pgaudit.reproduce.curves import Overlay
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.statistics import MARGIN, Answer, Equivalence, equivalence, spread_remark
from pgaudit.reproduce.supervise import Ending

LEAST_LIE = 1.0
"""Seconds that the log's clock may differ from the one outside, whatever the run's length: buffers, a busy machine."""
PART_OF_LIE = 0.03
"""Part of the reported time that it may differ: things a script rightly leaves out of its clock."""


class Result(StrEnum):
    """What became of the re-run as a whole."""

    HOLDS = "holds"
    FAILS = "fails"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Reproduction:
    """A re-run and what it says."""

    plan: Plan
    sandbox: str
    enclosed: bool
    seeds: tuple[SeedResult, ...]
    checks: tuple[Check, ...]
    score: Equivalence | None
    remarks: tuple[str, ...] = ()
    stopped: str = ""
    """Why seeds are missing; empty if none is."""
    bundled: str = ""
    """The preset of the bundled reference trainer, if that is what was run."""
    calibration: Calibration | None = None
    overlays: tuple[Overlay, ...] = ()
    """The curve of each seed beside that of the submitted log."""
    swaps: tuple[SeedResult, ...] = ()
    """The first seed with other inputs."""

    @property
    def missing(self) -> tuple[int, ...]:
        """The seeds of the plan that have no result."""
        done = {seed.seed for seed in self.seeds}
        return tuple(seed for seed in self.plan.seeds if seed not in done)

    @property
    def result(self) -> Result:
        """A claim that fails decides; whatever was left open keeps it from holding."""
        if any(check.status is Status.FAILS for check in self.checks):
            return Result.FAILS
        unfinished = self.missing or not all(seed.finished for seed in self.seeds)
        wanting = {check.status for check in self.checks} & OPEN
        blocked = any(check.name == "val_bpb" and check.status is Status.NOT_COMPARABLE for check in self.checks)
        return Result.INCOMPLETE if unfinished or wanting or blocked or self.stopped else Result.HOLDS


def judge(
    evidence: Evidence, plan: Plan, seeds: Sequence[SeedResult], margin: float = MARGIN, factor: float | None = None
) -> tuple[tuple[Check, ...], Equivalence | None, tuple[str, ...]]:
    """Every check, the comparison of the score, and what is worth a remark.

    ``factor`` is how many times as long this node takes; times are shown divided by it where the caller asks for that.
    """
    score, check = _score(evidence.claims, plan, seeds, margin)
    checks = [check, _size(evidence, seeds), *_times(evidence.edition, plan, seeds, factor), _clock(seeds)]
    checks += significance.checks(evidence, plan, seeds)
    checks += divisor.checks(plan, seeds)
    return tuple(checks), score, tuple(_remarks(evidence, seeds))


def hopeless(evidence: Evidence, plan: Plan, seeds: Sequence[SeedResult], margin: float = MARGIN) -> str:
    """Why more seeds would change nothing; empty if they may."""
    failed = next((seed for seed in seeds if not seed.finished), None)
    if failed is not None:
        return f"seed {failed.seed} did not finish: {failed.explanation}"
    checks, _, _ = judge(evidence, plan, seeds, margin)
    return next((f"{check.name} fails: {check.because}" for check in checks if check.status is Status.FAILS), "")


def _score(
    claims: Claims | None, plan: Plan, seeds: Sequence[SeedResult], margin: float
) -> tuple[Equivalence | None, Check]:
    scored = [seed for seed in seeds if seed.finished]
    mean = fmean(seed.val_bpb for seed in scored if seed.val_bpb is not None) if scored else None
    measured = f"{mean:.6f} (mean of {len(scored)})" if mean is not None else ""
    claimed = _claimed(claims, None)
    shown = f"{claimed:g}" if claimed is not None else ""
    source = "the last score that each run printed"

    def check(status: Status, because: str) -> Check:
        return Check("val_bpb", status, shown, measured, because, source)

    if mean is None:
        return None, check(Status.NOT_MEASURED, "no seed finished with a score")
    if claimed is None:
        return None, check(Status.NOT_STATED, "submission.json states no val_bpb")
    pairs = [_claimed(claims, seed.seed) for seed in scored]
    paired = all(pair is not None for pair in pairs) and _is_their_mean(claims, claimed)
    if any(seed.val_loss is None or not seed.val_bpb for seed in scored):
        return None, check(
            Status.NOT_MEASURED, "no val_loss is printed beside val_bpb, so the margin in nats cannot be applied"
        )
    differences = [
        (seed.val_bpb - (pair if paired and pair is not None else claimed)) * seed.val_loss / seed.val_bpb
        for seed, pair in zip(scored, pairs, strict=True)
        if seed.val_bpb and seed.val_loss is not None
    ]
    test = equivalence(differences, margin=margin, paired=paired)
    because = _wording(test)
    if test.answer is Answer.EQUIVALENT:
        return test, check(Status.HOLDS, because)
    if not plan.hardware.is_reference and not all(seed.by_steps for seed in scored):
        return test, check(
            Status.NOT_COMPARABLE, f"{because}; on {plan.hardware.name} a run that the clock ends takes other steps"
        )
    return test, check(Status.FAILS if test.answer is Answer.WORSE else Status.NOT_DECIDED, because)


def _claimed(claims: Claims | None, seed: int | None) -> float | None:
    claim = claims.get("val_bpb", str(seed) if seed is not None else None) if claims else None
    value = number(claim.value) if claim else None
    return value if value is not None and math.isfinite(value) else None


def _is_their_mean(claims: Claims | None, claimed: float) -> bool:
    """Whether the claimed score is the mean of those claimed for the seeds; else seeds could hold and the score not."""
    stated = [number(claim.value) for claim in claims.per_seed("val_bpb").values()] if claims else []
    known = [value for value in stated if value is not None]
    return bool(known) and abs(fmean(known) - claimed) <= TOLERANCE


def _wording(test: Equivalence) -> str:
    words = f"the re-run differs by {test.difference:+.5f} nats per token"
    if test.low is None or test.high is None or test.p_value is None:
        return f"{words} on one seed, which has no interval; the margin is {test.margin:g}"
    inside = "inside" if test.claim_inside else "outside"
    how = "paired by seed, " if test.paired else ""
    return f"{words} (95 % interval {test.low:+.5f} to {test.high:+.5f}, {how}claim {inside}); two one-sided tests against {test.margin:g}: p = {test.p_value:.4g}"


def _size(evidence: Evidence, seeds: Sequence[SeedResult]) -> Check:
    limit = int(evidence.edition["artifact_bytes"].applied)
    claim = evidence.claims.get("bytes_total") if evidence.claims else None
    stated = byte_count(claim.value) if claim else None
    totals = {seed.total_bytes: seed for seed in seeds if seed.total_bytes is not None}
    most = max(totals, default=None)
    shown = f"{stated:,} B" if stated is not None else f"at most {limit:,} B"
    if most is None:
        return Check(
            "size",
            Status.NOT_MEASURED,
            shown,
            "",
            "no run wrote a file that looks like compressed weights",
            "files that the run wrote",
        )
    seed = totals[most]
    source = f"{seed.model_file}, {seed.model_bytes:,} B, and {', '.join(seed.code_files)}, {seed.code_bytes:,} B (seed {seed.seed})"
    status = Status.HOLDS if most <= limit else Status.FAILS
    return Check("size", status, shown, f"{most:,} B", f"the limit is {limit:,} B", source)


def _times(edition: Edition, plan: Plan, seeds: Sequence[SeedResult], factor: float | None) -> Iterator[Check]:
    source = "the supervisor's clock over the output"
    grace = edition["train_grace_seconds"].applied
    for name, limit, own, ending in (
        ("training time", edition["train_seconds"].applied + grace, plan.bounds.training, Ending.TRAINING_TIME),
        ("evaluation time", edition["eval_seconds"].applied, plan.bounds.evaluation, Ending.EVALUATION_TIME),
    ):
        bound = own + grace if plan.own_limits else limit
        training = ending is Ending.TRAINING_TIME
        least = [seed.stepping if training else (seed.evaluation or 0.0) for seed in seeds]
        most = [seed.training if training else seed.evaluation for seed in seeds]
        ended = [seed for seed in seeds if seed.ending == ending]
        whose = "the caller's limit" if plan.own_limits else "the limit"
        seen = [low for low, high in zip(least, most, strict=True) if low or high is not None]
        shown = f"{min(seen):.1f} to {max(seen):.1f} s" if seen else ""
        stated = f"at most {bound:g} s"
        # What came after training may be packing, so that only a training time is over its limit for certain.
        over = [seed.seed for seed, value in zip(seeds, least, strict=True) if training and value > bound]
        binding = plan.hardware.is_reference or plan.own_limits
        if binding and (ended or over):
            who = ", ".join(str(seed) for seed in dict.fromkeys([*(s.seed for s in ended), *over]))
            yield Check(name, Status.FAILS, stated, shown, f"seed {who} went over {whose}", source)
        elif not plan.hardware.is_reference:
            because = f"measured on {plan.hardware.name}; the challenge's limits are for 8xH100"
            known = [value for value in most if value is not None]
            if factor and known:
                because += (
                    f"; divided by the calibration's {factor:.3g} it would be at most {max(known) / factor:.1f} s there"
                )
            yield Check(name, Status.NOT_COMPARABLE, stated, shown, because, source)
        elif not seeds or any(value is None for value in most):
            yield Check(
                name, Status.NOT_MEASURED, stated, shown, "the output does not show where the stage ended", source
            )
        elif all(value is not None and value <= bound for value in most):
            yield Check(name, Status.HOLDS, stated, shown, "from the first line of the stage to the last", source)
        else:
            yield Check(
                name, Status.NOT_DECIDED, stated, shown, "with what stops the challenge's clock it took longer", source
            )


def _clock(seeds: Sequence[SeedResult]) -> Check:
    """The log's own times against the clock outside, over the same steps: true on any hardware."""
    source = "lines of training steps, on both clocks"
    compared = [seed for seed in seeds if seed.compared > 0]
    if not compared:
        return Check(
            "reported times", Status.NOT_STATED, "", "", "the output states no times of training steps", source
        )
    worst = max(compared, key=lambda seed: seed.compared - seed.reported_compared)
    stated, seen = f"{worst.reported_compared:.1f} s", f"{worst.compared:.1f} s (seed {worst.seed})"
    hidden = worst.compared - worst.reported_compared
    if hidden > max(LEAST_LIE, PART_OF_LIE * worst.reported_compared):
        because = f"{hidden:.1f} s passed between lines of training steps that the run's own clock leaves out"
        return Check("reported times", Status.FAILS, stated, seen, because, source)
    return Check("reported times", Status.HOLDS, stated, seen, "the same steps on both clocks", source)


def _remarks(evidence: Evidence, seeds: Sequence[SeedResult]) -> Iterator[str]:
    for seed in seeds:
        if not seed.finished:
            yield f"seed {seed.seed} did not finish: {seed.explanation}"
        if seed.left_running:
            were = "process was" if seed.left_running == 1 else "processes were"
            yield f"seed {seed.seed}: {seed.left_running} {were} still running and ended by pgaudit"
        if seed.altered:
            yield f"seed {seed.seed}: the run changed files that were shipped: {', '.join(seed.altered[:5])}"
        if seed.files_read is None:
            yield f"seed {seed.seed}: this file system does not record reads; the code is what the script names"
        elif seed.files_read:
            yield f"seed {seed.seed}: the run read shipped files beside its code: {', '.join(seed.files_read[:5])}"
        if seed.reported_total_bytes is not None and seed.total_bytes not in (None, seed.reported_total_bytes):
            yield f"seed {seed.seed}: the run says {seed.reported_total_bytes:,} B in all, {seed.total_bytes:,} B were weighed"
        if seed.other_compressed_bytes:
            more = f"{seed.other_compressed_bytes:,} B in other compressed files"
            yield f"seed {seed.seed}: the run wrote {more}: variants of the model, or parts of it, which a person must tell"
        if seed.reported_compared - seed.compared > max(LEAST_LIE, PART_OF_LIE * seed.reported_compared):
            yield f"seed {seed.seed}: the run's own clock ran ahead, or its output came late"
    claims = evidence.claims
    claimed = [number(claim.value) for claim in claims.per_seed("val_bpb").values()] if claims else []
    measured = [seed.val_bpb for seed in seeds if seed.finished and seed.val_bpb is not None]
    if odd := spread_remark([value for value in claimed if value is not None], measured):
        yield odd
