"""The README states another hyper-parameter than the run had.

## What it flags
A setting that the README gives by the script's own name with another number than the effective configuration: `warmdown=2800 iters`
where the run had 3000.

## Why it is a defect
Readers take over what a record states. Reviewers find such numbers in nearly every pull request that they look at closely.

## How it decides
`NAME=NUMBER` and `name: NUMBER` in the text and in tables of two columns are matched, with the unit behind the number as the last
part of a name, against the settings that the script read in the walk. Numbers that stand for several runs (a comparison) are left
out: a name with two numbers says nothing.

## Known limits
Hyper-parameters that are written in words of their own, and constants that are no settings.

## How to fix
Take the numbers from the log's dump of settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pgaudit.evidence.configuration import PROCESS_VARIABLES
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.reading import Reading
from pgaudit.finding import Confidence, Finding, Location, Severity, Step
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
            "The README says 2800 warm-down iterations, the code's default is 3000.",
        ),
    ),
)

MOST_FINDINGS = 5
TOLERANCE = 1e-6
"""Relative: numbers are written in several ways (`5e-4`, `0.0005`)."""
_NAME = re.compile(r"[^A-Z0-9]+")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare the README's numbers with the settings of the run."""
    run, readme = evidence.run, evidence.readme
    if run is None or readme is None:
        return
    settings = {
        _canonical(name): (name, value, source)
        for name, (value, source) in run.walk.settings.items()
        if name not in PROCESS_VARIABLES
    }
    found = 0
    for stated in readme.stated:
        match = _setting_of(stated.name, stated.unit, settings)
        if match is None or found == MOST_FINDINGS:
            continue
        name, value, source = match
        if _differs(stated.value, value):
            found += 1
            yield RULE.finding(
                f"the README gives {stated.name} as {stated.value.value}; in the run {name} is {value} ({source})",
                stated.value.location,
                steps=(Step(_place(source, stated.value.location), f"{name} = {value}"),),
                confidence=Confidence.MEDIUM,
                facts={"setting": name, "readme": stated.value.value, "run": value},
            )


def _canonical(name: str) -> str:
    return _NAME.sub("", name.upper())


def _setting_of(name: str, unit: str, settings: Mapping[str, tuple[str, str, str]]) -> tuple[str, str, str] | None:
    """The setting that a stated name is, alone or with the unit behind its number."""
    return settings.get(_canonical(name)) or (settings.get(_canonical(name + unit)) if unit else None)


def _differs(stated: Reading[str], value: str) -> bool:
    try:
        said, was = float(stated.value.replace(",", "")), float(value)
    except ValueError:
        return False
    return abs(said - was) > TOLERANCE * max(abs(said), abs(was))


def _place(source: str, otherwise: Location) -> Location:
    path, _, line = source.rpartition(":")
    return Location(path, int(line)) if path and line.isdigit() else otherwise
