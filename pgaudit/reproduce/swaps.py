"""The checks ``held-out text``, ``document order`` and ``determinism``: the first seed with another input, beside the official one.

A score that collapses on a text that nobody could prepare for was bought with the official text. Adapting to the text as it is
scored is legal: it is done on every text, so that its gain stays, and even the loss of the largest known one is no collapse.
Differences are in nats per token: bits per byte by the ratio of loss and bpb that the run with the official input printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pgaudit.reproduce.check import Check, Status
from pgaudit.reproduce.inputs import Input, Swap
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.result import SeedResult
from pgaudit.reproduce.statistics import MARGIN

NAMES = {Input.SWAPPED: "held-out text", Input.SHUFFLED: "document order", Input.AGAIN: "determinism"}
NOISE = 4
"""Margins that two runs of one seed differ by at most: 0.02 nats per token, as for one seed in ``statistics.ONE_SEED``."""
COLLAPSE = 20
"""Margins, 0.1 nats per token. The most that a merged submission gained by all that it did differently at evaluation is 0.0368
bits per byte or 0.06 nats (LoRA test-time training of 2026-03-17, the strided windows in it); by test-time training alone
0.003 to 0.02 bits per byte."""
SPREAD = 80.0
"""Nats per token times the square root of tokens: divided by the root of a text's length it is the standard error of its loss as
a sample of FineWeb. Measured on the running scores of three logs of two merged records (sp8192, 2026-04-08 and 2026-04-09): parts of
327,680 tokens of the validation text differ with 54, parts of 2.6 million, more alike to their neighbours, with 79.
Vocabularies below 8,192 have less."""
CONFIDENCE = 1.96
"""Standard errors of a two-sided 95 % interval."""
AS_LONG = 0.9
"""Part of the official text's length: on a shorter one adaptation has less to learn from, and a worse score accuses nobody."""
ALIKE = 0.005
"""Jensen-Shannon divergence of token frequencies, nats. Two halves of one source are nearer; texts that are further apart may be of
different difficulty, and a worse score accuses nobody. Not measured on FineWeb: too small a value only leaves more undecided."""


def judge(
    plan: Plan, seeds: Sequence[SeedResult], runs: Sequence[SeedResult], margin: float = MARGIN
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """A check for each swap of the plan, and what is worth a remark."""
    official = next((seed for seed in seeds if seed.seed == plan.seeds[0]), None)
    found = {run.input: run for run in runs}
    checks = tuple(_check(plan, swap, official, found.get(swap.input.value), margin) for swap in plan.swaps)
    again = found.get(Input.AGAIN.value)
    return checks, tuple(_remarks(official, again)) if official and again else ()


def _check(plan: Plan, swap: Swap, official: SeedResult | None, run: SeedResult | None, margin: float) -> Check:
    name = NAMES[swap.input]
    source = f"seed {plan.seeds[0]}, {swap.describe()}"
    claimed = _score(official)
    measured = _score(run)

    def check(status: Status, because: str) -> Check:
        return Check(name, status, claimed, measured, because, source)

    if official is None or run is None:
        return check(Status.NOT_MEASURED, "not run: an earlier seed decided against a claim or did not finish")
    if not official.finished or not run.finished:
        failed = run if official.finished else official
        return check(Status.NOT_MEASURED, f"seed {failed.label} did not finish: {failed.explanation}")
    difference = difference_of(official, run)
    if difference is None:
        return check(Status.NOT_MEASURED, "no val_loss is printed beside val_bpb, so that nats are not known")
    if swap.input is Input.AGAIN:
        return check(*_determinism(official, run, difference, margin))
    noise = uncertainty(plan, swap, margin)
    status, because = _transfer(plan, swap, difference, noise, margin)
    return check(status, f"{difference:+.4f} ± {noise:.4f} nats per token; {because}")


def _score(run: SeedResult | None) -> str:
    return f"{run.val_bpb:.6f}" if run is not None and run.val_bpb is not None else ""


def difference_of(official: SeedResult, run: SeedResult) -> float | None:
    """How much worse the second run scored, in nats per token of the first; ``None`` where that printed no loss."""
    if official.val_bpb is None or run.val_bpb is None or not official.val_bpb or official.val_loss is None:
        return None
    return (run.val_bpb - official.val_bpb) * official.val_loss / official.val_bpb


def uncertainty(plan: Plan, swap: Swap, margin: float) -> float:
    """Half the width of the interval around a difference: the noise of runs, and where the texts differ that of sampling."""
    noise = NOISE * margin
    if swap.input is not Input.SWAPPED or plan.data is None:
        return noise
    sampling = SPREAD * math.sqrt(1 / swap.tokens + 1 / plan.data.val_tokens)
    return math.hypot(noise, CONFIDENCE * sampling)


def _transfer(plan: Plan, swap: Swap, difference: float, noise: float, margin: float) -> tuple[Status, str]:
    """Whether a score on another input is that of the official one, or has collapsed."""
    collapse = COLLAPSE * margin
    short = swap.tokens < AS_LONG * plan.data.val_tokens if plan.data else True
    wide = f"; the text is short ({swap.tokens:,} tokens), so the interval is wide" if noise >= collapse / 2 else ""
    if difference < -noise:
        return Status.NOT_DECIDED, f"better by more than chance: an easier text, or one that training reads{wide}"
    if difference - noise > collapse:
        if short:
            return Status.NOT_DECIDED, "worse, but on a shorter text adaptation has less to learn from"
        if swap.divergence > ALIKE:
            return Status.NOT_DECIDED, f"worse, but the texts' token frequencies differ by {swap.divergence:.3f} nats"
        return Status.FAILS, f"worse by more than {collapse:g}, which no legal evaluation is known to gain{wide}"
    if difference <= noise and difference + noise < collapse:
        return Status.HOLDS, f"what chance allows, and no collapse (more than {collapse:g})"
    return Status.NOT_DECIDED, f"a collapse (more than {collapse:g}) is neither shown nor excluded{wide}"


def _determinism(official: SeedResult, run: SeedResult, difference: float, margin: float) -> tuple[Status, str]:
    """Never a failure: what GPUs add up in another order is legal."""
    if run.val_bpb == official.val_bpb and run.model_sha256 == official.model_sha256:
        what = f"artifact {run.model_sha256[:12]}" if run.model_sha256 else "no artifact was found to compare"
        return Status.HOLDS, f"the same score to the last digit printed; {what}"
    if abs(difference) <= NOISE * margin:
        return Status.HOLDS, f"{difference:+.6f} nats per token, within what runs of one seed differ by on GPUs"
    return (
        Status.NOT_DECIDED,
        f"{difference:+.6f} nats per token: more than {NOISE * margin:g}, so a single run says little",
    )


def _remarks(official: SeedResult, again: SeedResult) -> Iterator[str]:
    """What two runs of one seed differ in, which is no fault."""
    if not again.finished or not official.finished:
        return
    pairs = (("score", official.val_bpb, again.val_bpb), ("artifact", official.model_sha256, again.model_sha256))
    if what := " and ".join(name for name, first, second in pairs if first != second):
        difference = difference_of(official, again)
        size = f" by {difference:+.6f} nats per token" if difference is not None else ""
        yield f"the same seed again came to another {what}{size}: not deterministic, which GPUs make legal"
