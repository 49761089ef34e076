"""The README points to files that are not there.

## What it flags
A relative link, or a file name in backquotes in a list or table of files, that the record folder does not hold.

## Why it is a defect
What is promised as evidence cannot be read: a log, a script, a note.

## How it decides
Names that end as logs, scripts, texts or notebooks do, compared by their last part with every file of the folder. Names that the script
itself holds (what it writes) or that stand in a command are left out.

## Known limits
Files elsewhere in the pull request.

## How to fix
Ship the file or drop the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Location, Severity
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
            "2026-04-01",
            "#1864",
            "The README refers to a file that is not in the folder.",
        ),
    ),
)

_NAME = r"[\w./-]*[\w-]\.(?:log|txt|py|sh|ipynb|md|csv|png)"
_FILE = re.compile(r"[\w-]+\.(?:log|txt|py|sh|ipynb|md|csv|png)")
_LINK = re.compile(rf"\]\((?!https?:)({_NAME})\)")
_LISTED = re.compile(rf"^\s*(?:[-*|]|\d+\.)\s*\**`({_NAME})`")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look up every file that the README lists or links; one finding that names them all."""
    readme = evidence.readme
    if readme is None:
        return
    shipped = {path.rpartition("/")[2].lower() for path in evidence.submission.files}
    written = {name for layer in evidence.texts for name in _FILE.findall(layer.text)}
    missing: dict[str, Location] = {}
    for pattern in (_LINK, _LISTED):
        for location, line in readme.mentions(pattern):
            for name in pattern.findall(line):
                last = name.rpartition("/")[2]
                if last.lower() not in shipped and last not in written and ".." not in name:
                    missing.setdefault(name, location)
    if missing:
        first = next(iter(missing.values()))
        yield RULE.finding(
            f"not in the folder: {', '.join(sorted(missing))}",
            first,
            confidence=Confidence.MEDIUM,
            facts={"files": sorted(missing)},
        )
