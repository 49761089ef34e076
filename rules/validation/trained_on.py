"""The run that counts trained on the validation files.

## What it flags
Training files that are the validation files: validation shards that are linked, copied or renamed to training shards, a training
pattern or path that names the validation split, a submission that calls itself val-only.

## Why it is illegal
The score is compression of text that the model has not seen. A run has to train as if there was no access to the validation text.

## How it decides
What the submission shows of its own run: the paths that the log prints, the environment of the run command, the links and copies of
the README and the run scripts, and what it calls itself. A log decides alone; of the others it takes two, because a README also
tells of what was tried, and a name may be somebody else's. What the script itself opens is followed by `ttt/prequant`.

## Known limits
Shards that were prepared from validation text under a name of their own.

## How to fix
Train on `fineweb_train_*` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Location, Severity, Step
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="val-in-training",
    leads_to="illegal",
    rulings=(
        Ruling(
            Strength.MAINTAINER, "0hq", "2026-03-19", "#44", "Training on the validation set is not a valid record."
        ),
        Ruling(
            Strength.MAINTAINER,
            "cocohearts",
            "2026-03-20",
            "#262",
            "Train as if there was no access to the validation set.",
        ),
    ),
)

VALIDATION_SHARD = re.compile(r"fineweb_val_", re.IGNORECASE)
TRAINING_SHARD = re.compile(r"fineweb_train_", re.IGNORECASE)
VALIDATION_ONLY = re.compile(r"val(?:idation)?[-_]?only(?![a-z])", re.IGNORECASE)
TRAINING_SETTING = re.compile(r"TRAIN\w*_(?:FILES|PATTERN|PATH|DATA|GLOB)$")
NAME = "valonly"


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look for validation files under the name of training files; one finding with everything that shows it."""
    kinds = [list(_logged(evidence)), list(_run_with(evidence)), list(_renamed(evidence)), list(_called(evidence))]
    shown = [entry for kind in kinds for entry in kind]
    if shown:
        yield RULE.finding(
            "the training files are the validation files",
            shown[0][0],
            steps=tuple(Step(location, message) for location, message in shown),
            severity=Severity.ERROR if kinds[0] or len(shown) > 1 else Severity.WARNING,
            confidence=Confidence.HIGH if kinds[0] else Confidence.MEDIUM,
        )


def _logged(evidence: Evidence) -> Iterator[tuple[Location, str]]:
    """Paths of training data that a log of the claimed runs prints."""
    for log in evidence.claimed_logs:
        for path in log.train_paths:
            if _is_validation(path.value):
                yield path.location, "the run read its training tokens here"
                break


def _run_with(evidence: Evidence) -> Iterator[tuple[Location, str]]:
    """Settings of the run command that send training to the validation files."""
    settings = evidence.run.walk.settings if evidence.run else {}
    for command in evidence.commands:
        for name, value in command.environment.items():
            ran = settings.get(name, ("", ""))[1] == str(command.location)
            if ran and _is_validation(value) and (name == "DATA_PATH" or TRAINING_SETTING.search(name)):
                yield command.location, f"the run is started with {name}={value}"


def _called(evidence: Evidence) -> Iterator[tuple[Location, str]]:
    """What the submission calls itself: one name may speak of others, two do not."""
    for title in evidence.titles:
        if title.names(NAME):
            yield Location("."), f"{title.source} is {title.text!r}"


def _renamed(evidence: Evidence) -> Iterator[tuple[Location, str]]:
    """Validation shards that get the name of training shards."""
    for copied in evidence.copies:
        if VALIDATION_SHARD.search(copied.source) and TRAINING_SHARD.search(copied.target):
            yield copied.location, "a validation shard gets the name of a training shard"


def _is_validation(path: str) -> bool:
    name = path.rstrip("/").rpartition("/")[2]
    return bool(VALIDATION_SHARD.search(name) or VALIDATION_ONLY.search(path))
