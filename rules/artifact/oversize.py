"""The artifact is larger than the limit.

## What it flags
A submission whose code and compressed model together exceed 16,000,000 bytes, for any of the runs it ships a log of.

## Why it is not allowed
The limit is the challenge: code bytes plus compressed model bytes, decimal, in both tracks. Submissions a few kilobytes over were
turned down from their own log lines.

## How it decides
Of several logs, those of the runs that submission.json claims count. The sum that the run itself logged is the one that maintainers used, as long as the shipped files do not contradict it. It is an
error if both that sum and the shipped one (logged model bytes plus the main script as shipped) are over the limit; a warning if
they disagree, because a log may count unpacked source that is shipped packed, and the other way round when the code that runs
lies in a helper file. Compressed weights in the folder
that are over the limit by themselves outweigh a log; without a logged sum the author's own claim decides.
Raw, shipped and helper sums are reported as facts: merged rows count a packed script while they ship a readable one.

## Known limits
Weights are rarely shipped, so that the logged model size has to be believed. Helper files are recognised by name in the script.

## How to fix
Shrink the model or pack the script, and ship the log of the run that measured it. 16 MiB (16,777,216 bytes) is not the limit.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import byte_count, number
from pgaudit.evidence.sizes import RunSize, Sizes
from pgaudit.finding import Confidence, Finding, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="oversize",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "Code plus compressed model may not exceed 16,000,000 bytes, decimal.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "regina-openai",
            "2026-04-28",
            "#1835",
            "16,071,321 bytes by the run's own log are not eligible.",
        ),
        Ruling(
            Strength.MERGE,
            "cocohearts",
            "2026-04-09",
            "#1412",
            "Logged sums over the limit, shipped sums under it: merged.",
        ),
    ),
)

NEAR_CLAIM = 0.002
"""A printed bpb this close to a claimed one is of a submitted run: means are claimed beside logs of single seeds."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare every sum of code and model with the limit."""
    limit = int(evidence.edition["artifact_bytes"].applied)
    sizes = evidence.sizes
    submitted = [run for run in sizes.runs if _submitted(evidence, run)]
    runs = submitted or list(sizes.runs)
    largest = max(runs, key=lambda run: run.total.bytes, default=None)
    heavy = {path: size for path, size in sizes.artifacts.items() if size + (sizes.script or 0) > limit}
    if heavy and (largest is None or largest.total.bytes <= limit):
        yield from _weights(sizes, heavy, limit)
        return
    if largest is None:
        yield from _claimed(evidence, limit)
        return
    facts = _facts(sizes, largest, limit)
    shipped = _shipped(sizes, largest)
    if largest.total.bytes > limit:
        agreed = shipped is None or shipped > limit
        certain = bool(submitted) or all(run.total.bytes > limit for run in runs)
        says = f"the log adds up {largest.total.bytes:,} bytes, {largest.total.bytes - limit:,} over the limit"
        yield RULE.finding(
            says if agreed else f"{says}; with the script as shipped it is {shipped:,}",
            largest.total.location,
            steps=tuple(
                Step(run.total.location, f"{run.total.bytes:,} bytes") for run in runs if run.total.bytes > limit
            ),
            severity=None if agreed and certain else Severity.WARNING,
            facts=facts,
        )
    elif (raw := (shipped or 0) + sum(sizes.helpers.values())) > limit:
        yield RULE.finding(
            f"the log counts {largest.total.bytes:,} bytes, with the code as shipped it is {raw:,}",
            largest.total.location,
            severity=Severity.NOTE,
            facts=facts,
        )


def _submitted(evidence: Evidence, run: RunSize) -> bool:
    """Whether submission.json claims the score or the size of a run; folders hold logs of trials and ablations as well."""
    claims = evidence.claims
    if not claims:
        return False
    sizes = [claims.get("bytes_total"), *claims.per_seed("bytes_total").values()]
    scores = [claims.get("val_bpb"), *claims.per_seed("val_bpb").values()]
    printed = [
        metric.val_bpb.value for log in evidence.logs if log.path == run.log for metric in log.metrics if metric.val_bpb
    ]
    return any(claim and byte_count(claim.value) == run.total.bytes for claim in sizes) or any(
        abs(bpb - value) <= NEAR_CLAIM
        for claim in scores
        if claim and (value := number(claim.value))
        for bpb in printed
    )


def _weights(sizes: Sizes, heavy: dict[str, int], limit: int) -> Iterator[Finding]:
    for path, size in heavy.items():
        total = size + (sizes.script or 0)
        yield RULE.finding(
            f"{path} and the script are {total:,} bytes, {total - limit:,} over the limit",
            Location(path),
            confidence=Confidence.MEDIUM,
            facts={"artifact_bytes": size, "script_bytes": sizes.script, "limit_bytes": limit},
        )


def _claimed(evidence: Evidence, limit: int) -> Iterator[Finding]:
    """No log states a sum: the author's own claim."""
    claims = evidence.claims
    stated = [claims.get("bytes_total"), *claims.per_seed("bytes_total").values()] if claims else []
    over = [(size, claim) for claim in stated if claim and (size := byte_count(claim.value)) and size > limit]
    for size, claim in over[:1]:
        yield RULE.finding(
            f"the author states {size:,} bytes, {size - limit:,} over the limit",
            claim.location,
            confidence=Confidence.MEDIUM,
            facts={"claimed_bytes": size, "limit_bytes": limit},
        )


def _shipped(sizes: Sizes, run: RunSize) -> int | None:
    """The model that a run logged with the main script as shipped."""
    return run.model + sizes.script if run.model is not None and sizes.script is not None else None


def _facts(sizes: Sizes, run: RunSize, limit: int) -> dict[str, object]:
    return {
        "limit_bytes": limit,
        "logged_bytes": run.total.bytes,
        "logged_code_bytes": run.code.bytes if run.code else None,
        "shipped_bytes": _shipped(sizes, run),
        "script_bytes": sizes.script,
        "helper_bytes": sizes.helpers,
        "shipped_artifact_bytes": sizes.artifacts,
    }
