"""The README names another activation than the script has.

## What it flags
A README that says squared ReLU where the script calls the leaky one only, or the other way round.

## Why it is a defect
The activation is the first thing that readers copy. Reviewers compare it with the code.

## How it decides
The calls in the unpacked script: leaky ReLU and no plain one, or plain ReLU and no leaky one. The README has to name the other, and
never the one that is there.

## Known limits
Scripts that hold both, and activations that are written out or fused into a kernel.

## How to fix
Name the activation that the script calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import MAIN
from pgaudit.finding import Confidence, Finding, Severity
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
            "The README says squared ReLU, the code uses leaky ReLU(0.5) squared.",
        ),
    ),
)

LEAKY = re.compile(r"leaky[ _-]?relu", re.IGNORECASE)
PLAIN = re.compile(r"(?<![a-z])relu(?![a-z])", re.IGNORECASE)
CALLS_LEAKY = re.compile(r"\b(?:leaky_relu|LeakyReLU)\s*\(")
CALLS_PLAIN = re.compile(r"(?<![\w])(?:F\.|torch\.|nn\.)(?:relu|ReLU)\s*\(|\.relu\(\)")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the name in the README with the calls of the script that ran."""
    run, readme = evidence.run, evidence.readme
    if run is None or readme is None:
        return
    text = run.layers[MAIN].text
    leaky, plain = bool(CALLS_LEAKY.search(text)), bool(CALLS_PLAIN.search(text))
    if leaky == plain:
        return
    said_leaky = [place for place, _ in readme.mentions(LEAKY)]
    said_plain = [place for place, line in readme.mentions(PLAIN) if PLAIN.search(LEAKY.sub("", line))]
    wrong, right = (said_plain, said_leaky) if leaky else (said_leaky, said_plain)
    if wrong and not right:
        there, named = ("leaky ReLU", "ReLU") if leaky else ("ReLU", "leaky ReLU")
        yield RULE.finding(
            f"the README says {named}, the script calls {there} only", wrong[0], confidence=Confidence.MEDIUM
        )
