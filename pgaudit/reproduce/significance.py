"""The check ``step over the record``: the measured seeds under the policy of the submission's day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import number
from pgaudit.reproduce.check import Check, Status
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult
from pgaudit.standings import record_before
from pgaudit.student import below

SOURCE = "one-sided t test of the seeds of the re-run"


def checks(evidence: Evidence, plan: Plan, seeds: Sequence[SeedResult]) -> Iterator[Check]:
    """The improvement that was measured, in nats per token; nothing where no record is at stake.

    The record is brought to this tokenizer by the re-run's own ratio of nats per token to bits per byte. The spread of its
    seeds is not published, so it counts as a fixed number.
    """
    origin = evidence.submission.origin
    scored = [(seed.val_loss, seed.val_bpb) for seed in seeds if seed.finished and seed.val_loss and seed.val_bpb]
    if evidence.submission.track != "record" or origin.date is None or not scored:
        return
    claim = evidence.claims.get("val_bpb") if evidence.claims else None
    claimed_score = number(claim.value) if claim else None  # the leaderboard may hold the submission's own row by now
    standing = record_before(origin.date, claimed_score or fmean(bpb for _, bpb in scored), origin.pr)
    if standing is None:
        return
    ratio = fmean(loss / bpb for loss, bpb in scored)
    level, margin = evidence.edition["p_value"].applied, evidence.edition["improvement_nats"].applied
    losses = [loss for loss, _ in scored]
    step = standing.val_bpb * ratio - fmean(losses)
    claimed = f"more than {margin:g} nats per token below {standing.val_bpb:g}"
    measured = f"{step:+.5f} nats per token below it"
    row = f"the record of {standing.date} by {standing.author}"

    def check(status: Status, because: str) -> Check:
        return Check("step over the record", status, claimed, measured, because, SOURCE)

    if not plan.hardware.is_reference and not all(seed.by_steps for seed in seeds if seed.finished):
        name = plan.hardware.name
        yield check(Status.NOT_COMPARABLE, f"{row}; on {name} a run that the clock ends takes other steps")
        return
    test = below(losses, standing.val_bpb * ratio - margin)
    if test is None:
        yield check(Status.NOT_SIGNIFICANT, f"{row}; one seed, or no spread between them: nothing to test")
        return
    because = f"{row}; p = {test.p_value:.4g}, below {level:g} is asked for"
    yield check(Status.HOLDS if test.p_value < level else Status.NOT_SIGNIFICANT, because)
