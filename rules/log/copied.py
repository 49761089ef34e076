"""The log is a copy of an accepted record's.

## What it flags
A log of the claimed runs whose training losses are, step by step, those of a log that another record folder was accepted with.

## Why it is a defect
The log shows somebody else's run. What the submission claims for itself has no evidence.

## How it decides
A hash of all printed training losses against those of the accepted records (`accepted.json` beside this rule). Two runs of one script
with one seed differ from the first hundred steps on. The log has to show a claimed score; the record's own folder is left alone. Where the
accepted folder bears the later date it is a fact: support packages ship the logs that they build on, and a date is easily chosen.

## Known limits
Records that the list lacks: it is made from a clone, and covers what was accepted when it was made. Copies of logs that were never
accepted are found by a sweep only.

## How to fix
Ship the logs of your own runs, and say which results are somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.lineage import accepted, fingerprint
from pgaudit.evidence.support import prints
from pgaudit.finding import Finding, Location, Severity
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="log-mismatch",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README, "0hq", "2026-03-18", "README", "A submission holds the train log that the script produced."
        ),
    ),
)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
INDEX = Path(__file__).with_name("accepted.json")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look every claimed log up among those of accepted records."""
    own = evidence.submission.folder.rpartition("/")[2]
    known = accepted(INDEX)
    for log in evidence.claimed_logs:
        shown = any(prints(metric, evidence.claimed_scores) for metric in log.metrics)
        mark = fingerprint(log) if shown else None
        folder = known.get(mark or "")
        if folder and folder != own:
            yield RULE.finding(
                f"the training losses are those of a log of {folder}",
                Location(log.path, log.train_steps[0].line, text=f"step {log.train_steps[0].step}"),
                severity=Severity.NOTE if _is_later(folder, own) else Severity.ERROR,
                facts={"fingerprint": mark, "accepted_folder": folder, "losses": len(log.train_steps)},
            )
            return


def _is_later(folder: str, own: str) -> bool:
    """Is the accepted folder dated after this one? Then it is the one that ships somebody else's log."""
    dates = [match[0] for name in (folder, own) if (match := _DATE.match(name))]
    return len(dates) == 2 and dates[0] > dates[1]
