"""Too few seeds, or no clear step over the record that stood.

## What it flags
In the record track: fewer than three seeds; seeds that were run with different settings; and a claim whose improvement over the record
of its day is not significant by the policy of that day, or no improvement at all.

## Why it is a defect
A new record has to beat the old one by more than chance. The text of the challenge asks for 0.005 nats per token at p < 0.01; from
2026-04-28 on rows were accepted in the order of time with p < 0.25.

## How it decides
The loss per seed, in nats per token, from submission.json or the logs of the claimed runs, against the record of the day before the
head, brought to the same tokenizer by the claim's own ratio of tokens to bytes. A one-sided t test with the reading of the policy that
was applied then. Settings are compared between the dumps of the claimed logs, without seeds, names and paths. Nothing here decides a
verdict: many submissions are no attempt at a record.

## Known limits
Offline the date is that of the head commit, and a title that says non-record is not known. The spread of the old record is not
published, so it counts as a fixed number.

## How to fix
Run three seeds with one configuration and state the loss of each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from statistics import fmean

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log
from pgaudit.evidence.numbers import number
from pgaudit.finding import Confidence, Finding, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength
from pgaudit.standings import Standing, record_before
from pgaudit.student import below

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="significance",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "A record beats the last one by 0.005 nats at p < 0.01, for which three runs usually suffice.",
        ),
        Ruling(
            Strength.MERGE,
            "cocohearts",
            "2026-04-29",
            "#1902",
            "Rows progress in the order of time; p < 0.25 against the row before is enough.",
        ),
    ),
)

OWN = frozenset(
    {"seed", "run_id", "logfile", "model_path", "quantized_model_path", "artifact_dir", "rank", "local_rank"}
)
"""Settings that have to differ from run to run."""
MEASURED = re.compile(r"loss|bpb|_time|bytes|elapsed|^step", re.IGNORECASE)
"""Names of results that stand in the log like settings."""
MOST_NAMES = 4


def check(evidence: Evidence) -> Iterator[Finding]:
    """Count the seeds, compare their settings, and test the step over the record."""
    claim = evidence.claims.get("val_bpb") if evidence.claims else None
    score = number(claim.value) if claim else None
    if evidence.submission.track != "record" or claim is None or not score:
        return
    wanted = int(evidence.edition["seeds"].applied)
    seeds = _seeds(evidence)
    if seeds and len(seeds) < wanted:
        yield RULE.finding(f"{len(seeds)} of {wanted} seeds: {', '.join(sorted(seeds))}", claim.location)
    yield from _settings(evidence.claimed_logs)
    origin = evidence.submission.origin
    standing = record_before(origin.date, score, origin.pr) if origin.date else None
    if standing:
        yield from _step(evidence, score, standing, claim.location)


def _seeds(evidence: Evidence) -> set[str]:
    stated = set(evidence.claims.seeds) if evidence.claims else set()
    return stated or {str(seed.value) for log in evidence.claimed_logs for seed in log.seeds[-1:]}


def _settings(logs: tuple[Log, ...]) -> Iterator[Finding]:
    """Settings that differ between the dumps of two claimed runs."""
    for first, log in ((logs[0], log) for log in logs[1:]):
        shared = first.settings.keys() & log.settings.keys()
        other = sorted(
            name
            for name in shared
            if name.lower() not in OWN
            and not MEASURED.search(name)
            and _differ(first.settings[name].value, log.settings[name].value)
        )
        if other:
            named = ", ".join(other[:MOST_NAMES]) + (" and more" if len(other) > MOST_NAMES else "")
            yield RULE.finding(
                f"the seeds were not run with one configuration: {named} differ",
                log.settings[other[0]].location,
                steps=(
                    Step(first.settings[other[0]].location, "one run"),
                    Step(log.settings[other[0]].location, "another"),
                ),
            )
            return


def _differ(one: str, other: str) -> bool:
    """Numbers and words; what holds a path is a name."""
    return one != other and "/" not in one + other


def _step(evidence: Evidence, score: float, standing: Standing, place: Location) -> Iterator[Finding]:
    ratio = _tokens_per_byte(evidence)
    losses = _losses(evidence)
    row = f"the record of {standing.date}, {standing.val_bpb:g} by {standing.author}"
    if score >= standing.val_bpb or ratio is None:
        if score >= standing.val_bpb:
            yield RULE.finding(f"{score:g} does not improve on {row}", place, facts={"standing_bpb": standing.val_bpb})
        return
    margin, level = evidence.edition["improvement_nats"].applied, evidence.edition["p_value"].applied
    bound = standing.val_bpb * math.log(2) / ratio - margin
    test = below(losses, bound)
    if test is None or test.p_value < level:
        return
    yield RULE.finding(
        f"the step over {row}, is not significant: p = {test.p_value:.3f}, below {level:g} is asked for",
        place,
        confidence=Confidence.MEDIUM,
        facts={
            "seeds": len(losses),
            "mean_nats": round(test.mean, 6),
            "bound_nats": round(bound, 6),
            "p_value": round(test.p_value, 4),
            "confidence_interval_nats": [round(test.low, 6), round(test.high, 6)],
        },
    )


def _losses(evidence: Evidence) -> list[float]:
    """Nats per token of every seed, from the claims or else from the lines of the claimed logs."""
    claims = evidence.claims
    stated = [number(claim.value) for claim in claims.per_seed("val_loss").values()] if claims else []
    found = [loss for loss in stated if loss]
    if len(found) > 1:
        return found
    lines = (metric for log in evidence.claimed_logs for metric in evidence.claimed_metrics(log)[-1:])
    return list(dict.fromkeys(metric.val_loss.value for metric in lines if metric.val_loss))


def _tokens_per_byte(evidence: Evidence) -> float | None:
    lines = (metric for log in evidence.claimed_logs for metric in evidence.claimed_metrics(log))
    ratios = [metric.tokens_per_byte for metric in lines if metric.tokens_per_byte]
    return fmean(ratios) if ratios else None
