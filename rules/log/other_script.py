"""The log is that of another script.

## What it flags
A log of the claimed runs that prints its own source, where that is another program than every script that is shipped; or that states
a code size which no shipped script has, packed or unpacked.

## Why it is not allowed
A log is the evidence for what the shipped script scores. Rows whose log came from another script could not be reproduced and were
asked for the right one.

## How it decides
The last source text before the final score has to hold 92 % of the distinct lines of some shipped script, without indentation and
comments, of whatever layer (settings that were changed between seeds leave more than 95 %). The last code size that is stated has to lie
within 8 % of a script, of its unpacked text, or between the main script and all code files together; far smaller ones are sizes
after packing. A size is asked only where the log prints no source: the text tells more. A log's source that holds the shipped script and
defines more than it is a warning.

## Known limits
Logs that print neither source nor code size. A script that was cleaned up more than a little after the run.

## How to fix
Ship the script that made the log, or the log that the script makes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log, LoggedSize
from pgaudit.evidence.provenance import LoggedSource, code_lines, definitions, held, logged_source, nearest
from pgaudit.finding import Confidence, Finding, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength
from pgaudit.source.script import Layer

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="log-mismatch",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "A submission holds the train log that the script produced, and a script that runs.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-05-04",
            "#86",
            "The only log is of an older run of another script; the claim could not be reproduced.",
        ),
    ),
)

SAME_PROGRAM = 0.92
"""Of the shipped script's distinct lines: the least that the log of its own run has is 95 %."""
SAME_SIZE = 0.08
"""Scripts that were tidied up after the run differ by up to 4 %."""
PACKED = 0.6
"""Sizes below this part of the text are of a packed form."""
CODE = (".py", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".rs", ".sh")
MOST_NAMES = 4


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare what the logs say of their script with what is shipped."""
    for log in evidence.claimed_logs:
        source = logged_source(log, evidence.lines_of(log)) if log.embedded else None
        best = nearest(source.text, evidence.texts) if source else None
        finding = _other_source(log, source, *best) if source and best else _other_size(evidence, log)
        if finding:
            yield finding
            return


def _other_source(log: Log, source: LoggedSource, layer: Layer, shared: float) -> Finding | None:
    """The program of the log against the shipped one that is nearest; its text tells more than its size."""
    mine, theirs = definitions(layer.text), definitions(source.text)
    if shared >= SAME_PROGRAM:
        if held(code_lines(source.text), code_lines(layer.text)) >= SAME_PROGRAM or not theirs - mine:
            return None
        place = Location(log.path, source.first, text=source.text.partition("\n")[0][:120])
        return RULE.finding(
            f"the log's script holds more than {layer.path}: it defines {_some(theirs - mine)}",
            place,
            severity=Severity.WARNING,
            confidence=Confidence.MEDIUM,
            facts={"lines_in_common": round(shared, 3), "only_in_the_log": sorted(theirs - mine)},
        )
    place = Location(log.path, source.first, text=source.text.partition("\n")[0][:120])
    return RULE.finding(
        f"the source that the log prints is another program than {layer.path}: it holds {shared:.0%} of its lines",
        place,
        steps=(
            Step(place, f"the log's script defines {_some(theirs - mine)}, which {layer.path} does not"),
            Step(layer.at(1), f"it defines {_some(mine - theirs)}, which the log's script does not"),
        ),
        facts={"lines_in_common": round(shared, 3)},
    )


def _other_size(evidence: Evidence, log: Log) -> Finding | None:
    stated = next(
        (size for size in reversed(log.sizes) if size.kind == "code" and size.bytes > 0 and log.counts(size.location)),
        None,
    )
    if stated is None or not evidence.main:
        return None
    sizes = _sizes(evidence)
    if min(sizes) <= stated.bytes <= _all_code(evidence):
        return None
    nearest_size = min(sizes, key=lambda size: abs(size - stated.bytes))
    if abs(nearest_size - stated.bytes) <= SAME_SIZE * max(nearest_size, stated.bytes) or _is_packed(stated, sizes):
        return None
    return RULE.finding(
        f"the log's script has {stated.bytes:,} bytes, and no shipped one is near that: {evidence.main.path} has {len(evidence.main.body.text.encode()):,}",
        stated.location,
        facts={"logged_code_bytes": stated.bytes, "shipped_code_bytes": sorted(sizes)},
    )


def _sizes(evidence: Evidence) -> set[int]:
    """Bytes of every shipped script, as shipped and unpacked."""
    files = [file.size or 0 for path, file in evidence.submission.files.items() if path.endswith(".py")]
    return {*files, *(len(layer.text.encode()) for layer in evidence.texts)}


def _all_code(evidence: Evidence) -> int:
    """Bytes of the main script, unpacked, and of every other code file, where there are any."""
    others = [
        file.size or 0
        for path, file in evidence.submission.files.items()
        if path.endswith(CODE) and path != evidence.main_path
    ]
    return len(evidence.main.body.text.encode()) + sum(others) if evidence.main and others else 0


def _is_packed(stated: LoggedSize, sizes: set[int]) -> bool:
    return any(stated.bytes < PACKED * size for size in sizes)


def _some(names: frozenset[str]) -> str:
    shown = sorted(names)[:MOST_NAMES]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (", ".join(shown) + more) if shown else "nothing"
