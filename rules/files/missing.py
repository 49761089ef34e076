"""A required file is missing or empty.

## What it flags
A record folder without README.md, submission.json, a training log or the script that trains and scores; or with one of them
empty or a symbolic link.

## Why it is not allowed
The README of the challenge asks for all four; pull requests without them were asked to add them before anything else was looked at.

## How it decides
Error: no script, an empty script, only empty logs, and a folder that holds no run at all: neither a log nor a score (no
submission.json, or one without a positive val_bpb). Warning, because merged rows have done without: a claimed score
without any log, a missing submission.json beside a log. Note: a missing README beside both, which leaves nothing to decide (a
record was accepted without one, #1945). Other names are accepted for all four: submission_NAME.json,
any Python script that the run command names, any text file that prints losses.

## Known limits
Local modules that a script imports and the folder lacks are not followed here. Whether the log is of the claimed run is another rule.

## How to fix
Add the file: the log as the run printed it, one per seed, and the script as it ran.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.numbers import number
from pgaudit.evidence.scripts import python_files
from pgaudit.finding import Finding, Gap, Location, Severity
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="missing-files",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "A folder holds README.md, submission.json, the train log and the script.",
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-03-25",
            "#505",
            "Logs, metadata and weights outside the folder: asked to be added.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Look for the four required files."""
    folder = Location(".")
    yield from _script(evidence, folder)
    yield from _log(evidence, folder)
    if not any(path.lower().startswith("readme") for path in evidence.submission.files):
        shown = _has_metadata(evidence) and evidence.logs
        yield RULE.finding("there is no README.md", folder, severity=Severity.NOTE if shown else Severity.WARNING)
    if not _has_metadata(evidence) and evidence.logs:
        yield RULE.finding("there is no submission.json", folder, severity=Severity.WARNING)
    yield from _links(evidence)


def _script(evidence: Evidence, folder: Location) -> Iterator[Finding | Gap]:
    scripts = python_files(evidence.submission)
    empty = [path for path, file in scripts.items() if file.size == 0 and "/" not in path]
    if not scripts:
        yield RULE.finding("there is no Python script", folder)
    elif evidence.main_path is None and empty:
        yield RULE.finding(f"{empty[0]} is empty", Location(empty[0]))
    elif evidence.main_path is None:
        yield RULE.gap("which script trains and scores: neither a name nor a run command decides", folder)


def _log(evidence: Evidence, folder: Location) -> Iterator[Finding]:
    logs = evidence.logs
    if logs and not any(log.lines for log in logs):
        yield RULE.finding(f"{logs[0].path} is empty", Location(logs[0].path))
    elif logs:
        return
    elif _score(evidence) is None:
        without = "a submission.json" if not _has_metadata(evidence) else "a score in submission.json"
        yield RULE.finding(f"there is neither a training log nor {without}: no run is shown", folder)
    else:
        yield RULE.finding("a score is claimed, and there is no training log", folder, severity=Severity.WARNING)


def _links(evidence: Evidence) -> Iterator[Finding]:
    for path in ("README.md", "submission.json", evidence.main_path or "train_gpt.py"):
        file = evidence.submission.files.get(path)
        if file and "symbolic link" in file.problem:
            yield RULE.finding(f"{path} is a symbolic link, not a file", Location(path))


def _has_metadata(evidence: Evidence) -> bool:
    """Whether there is a submission.json, readable or not."""
    return any(path.lower().startswith("submission") and path.endswith(".json") for path in evidence.submission.files)


def _score(evidence: Evidence) -> float | None:
    """The claimed score, if it is one; a submission.json that does not parse may state one."""
    if evidence.claims is None:
        return None
    if evidence.claims.problem:
        return 0.0
    stated = [evidence.claims.get(name) for name in ("val_bpb", "val_loss")]
    values = [
        value
        for claim in (*stated, *evidence.claims.per_seed("val_bpb").values())
        if claim and (value := number(claim.value))
    ]
    return values[0] if values else None
