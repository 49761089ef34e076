"""Waivers: findings that the referee, never the submitter, decided to set aside; each with a reason and an end.

A waiver file is TOML, one table per decision::

    [[waiver]]
    rule = "artifact/oversize"
    pr = 1471                      # and/or folder = "records/*/2026-04-*"
    fingerprint = "0f3c…"          # optional: this finding only
    reason = "counted by hand, see the thread"
    author = "name"
    expires = 2026-12-31
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from pgaudit.errors import WaiverError
from pgaudit.finding import Finding

KEYS: dict[str, type] = {
    "rule": str, "pr": int, "folder": str, "fingerprint": str, "reason": str, "author": str, "expires": date,
}  # fmt: skip
WORDS = {str: "string", int: "whole number", date: "date without quotes"}
REQUIRED = ("rule", "reason", "author", "expires")


@dataclass(frozen=True)
class Waiver:
    """One decision: findings of ``rule`` within the scope do not count until the day after ``expires``."""

    rule: str
    reason: str
    author: str
    expires: date
    pr: int | None = None
    folder: str | None = None
    """Glob over the record folder's path."""
    fingerprint: str | None = None

    def covers(self, finding: Finding, pr: int | None, folder: str) -> bool:
        """Whether the finding, in this folder of this pull request, is within the scope."""
        return (
            finding.rule == self.rule
            and self.pr in (None, pr)
            and fnmatchcase(folder, self.folder or "*")
            and self.fingerprint in (None, finding.fingerprint)
        )

    def __str__(self) -> str:
        scope = [f"PR #{self.pr}" if self.pr else "", self.folder or "", self.fingerprint or ""]
        return f"{self.rule} in {', '.join(filter(None, scope))} by {self.author} until {self.expires}"


@dataclass(frozen=True)
class Waivers:
    """The waivers in force on the day of the audit, and those that have run out."""

    active: tuple[Waiver, ...] = ()
    expired: tuple[Waiver, ...] = ()

    def match(self, finding: Finding, pr: int | None, folder: str) -> Waiver | None:
        """The first waiver in force that covers the finding."""
        return next((waiver for waiver in self.active if waiver.covers(finding, pr, folder)), None)

    def unused(self, used: Iterable[Waiver]) -> tuple[Waiver, ...]:
        """The waivers in force that set nothing aside."""
        used = set(used)
        return tuple(waiver for waiver in self.active if waiver not in used)


def load(path: Path, rule_ids: Collection[str], today: date) -> Waivers:
    """Read a waiver file; ``today`` decides what has expired. Raises ``WaiverError`` with file and entry."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WaiverError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WaiverError(f"{path}: not valid TOML: {error}") from error
    tables = document.get("waiver", [])
    if set(document) - {"waiver"} or not isinstance(tables, list):
        raise WaiverError(f"{path}: a waiver file holds [[waiver]] tables and nothing else")
    waivers = [_waiver(f"{path}: waiver {number}", table, rule_ids) for number, table in enumerate(tables, 1)]
    return Waivers(
        active=tuple(w for w in waivers if w.expires >= today), expired=tuple(w for w in waivers if w.expires < today)
    )


def _waiver(where: str, table: object, rule_ids: Collection[str]) -> Waiver:
    if not isinstance(table, dict):
        raise WaiverError(f"{where}: must be a table")
    if unknown := sorted(set(table) - set(KEYS)):
        raise WaiverError(f"{where}: unknown key {unknown[0]!r}", hint=f"known keys: {', '.join(KEYS)}")
    if missing := [key for key in REQUIRED if not table.get(key)]:
        raise WaiverError(f"{where}: needs {', '.join(missing)}")
    for key, value in table.items():
        if type(value) is not KEYS[key]:  # exact, so that neither true passes as a number nor a date-time as a date
            raise WaiverError(f"{where}: {key} must be a {WORDS[KEYS[key]]}, not {value!r}")
    if not {"pr", "folder"} & set(table):
        raise WaiverError(f"{where}: needs a scope: pr, folder or both")
    if table["rule"] not in rule_ids:
        raise WaiverError(f"{where}: there is no rule {table['rule']!r}", hint="`pgaudit rules list` names them all")
    return Waiver(**table)
