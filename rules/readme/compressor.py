"""The log and the README name different compressors.

## What it flags
A size or score line in the log that is labelled with one compressor (`final_int8_zlib_roundtrip`) where the README says another
(`zstd`), and none in common.

## Why it is a defect
One of them is wrong. Labels are copied from the baseline, and readers who rebuild the artifact take the wrong tool.

## How it decides
The words zlib, lzma, zstd and brotli in the size and score lines of the claimed logs, and in the README.

## Known limits
Both may be wrong together. What the code calls is in the submission's card.

## How to fix
Label the line by the compressor that is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Finding, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="documentation",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(
        Ruling(
            Strength.COMMUNITY,
            "Copilot",
            "2026-03-22",
            "#485",
            "The size line says int8+zlib, although zstd and other widths are used.",
        ),
    ),
)

COMPRESSORS = {"zlib": "zlib", "lzma": "lzma", "xz": "lzma", "zstd": "zstd", "zstandard": "zstd", "brotli": "brotli"}
_WORD = re.compile(r"(?<![a-z])(zlib|lzma|xz|zstd|zstandard|brotli)(?![a-z])", re.IGNORECASE)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the labels of sizes with the README."""
    readme = evidence.readme
    said = [(name, location) for location, line in readme.mentions(_WORD) for name in _named(line)] if readme else []
    names = {name for name, _ in said}
    for log in evidence.claimed_logs:
        labels = [size.location for size in log.sizes] + [metric.location for metric in log.metrics]
        wrong = next(
            (place for place in labels if names and _named(place.text) and not _named(place.text) & names), None
        )
        if wrong is not None:
            yield RULE.finding(
                f"the log calls the compressor {', '.join(sorted(_named(wrong.text)))}, the README {', '.join(sorted(names))}",
                wrong,
                steps=tuple(Step(location, f"the README says {name}") for name, location in said[:1]),
            )
            return


def _named(text: str) -> set[str]:
    return {COMPRESSORS[word.lower()] for word in _WORD.findall(text)}
