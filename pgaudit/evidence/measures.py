"""What a submission shows for the limits of the challenge: one number for each, with its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgaudit.evidence.numbers import byte_count
from pgaudit.finding import Location

if TYPE_CHECKING:
    from pgaudit.evidence.evidence import Evidence

Number = tuple[float, Location]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that a limit is about. It decides nothing; the rules do, and know more (which runs, which sum)."""

    limit: str
    """Name of the limit in the policy; its unit is its last word."""
    value: float
    """The largest that a claimed run shows; for seeds, how many."""
    location: Location


def measures(evidence: Evidence) -> tuple[Measure, ...]:
    """Every limit for which the logs or the claims hold a number."""
    return tuple(_measures(evidence))


def _measures(evidence: Evidence) -> Iterator[Measure]:
    logs = evidence.claimed_logs
    training = [(time.seconds, time.location) for log in logs if (time := log.loop_time)]
    scored = {metric.location for log in logs for metric in evidence.claimed_metrics(log)}
    evaluation = [
        (time.seconds, time.location) for log in logs for time in log.eval_times if _on_line(time.location, scored)
    ]
    numbers = {"artifact_bytes": _bytes(evidence), "train_seconds": training, "eval_seconds": evaluation}
    for limit, found in numbers.items():
        if found:
            yield Measure(limit, *max(found, key=lambda number: number[0]))
    seeds = {seed.value: seed.location for log in logs for seed in log.seeds[-1:]}
    if seeds:
        yield Measure("seeds", len(seeds), next(iter(seeds.values())))


def _bytes(evidence: Evidence) -> list[Number]:
    """The sums of the claimed runs; of any run, or else the author's own, where those print none."""
    claimed = {log.path for log in evidence.claimed_logs}
    runs = [run for run in evidence.sizes.runs if run.log in claimed] or evidence.sizes.runs
    if runs:
        return [(run.total.bytes, run.total.location) for run in runs]
    claims = evidence.claims
    stated = [claims.get("bytes_total"), *claims.per_seed("bytes_total").values()] if claims else []
    return [(size, claim.location) for claim in stated if claim and (size := byte_count(claim.value))]


def _on_line(location: Location, places: set[Location]) -> bool:
    return any((place.path, place.line) == (location.path, location.line) for place in places)
