"""What can go wrong, and the exit code each kind of failure has.

The codes are the same for every command and format: 0 clean, 1 internal error, 2 usage, 3 nothing to
audit, 4 incomplete, 10 findings at or above ``--fail-on``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every pgaudit command."""

    CLEAN = 0
    INTERNAL = 1
    USAGE = 2
    NOTHING_TO_AUDIT = 3
    INCOMPLETE = 4
    FINDINGS = 10


class PgauditError(Exception):
    """A failure with a one-line message for the user and, where one exists, a way out (``hint``)."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class TargetError(PgauditError):
    """The user named a folder, file, ref or pull request that cannot be used."""

    exit_code = ExitCode.USAGE


class NothingToAudit(PgauditError):
    """The target exists, but holds nothing that could be a submission."""

    exit_code = ExitCode.NOTHING_TO_AUDIT


class WaiverError(PgauditError):
    """The waiver file is malformed, or a waiver names a rule that does not exist."""

    exit_code = ExitCode.USAGE


class CorpusError(PgauditError):
    """A corpus of ruled submissions, or the rulings that it is made of, cannot be read."""

    exit_code = ExitCode.USAGE


class ReportError(PgauditError):
    """A JSON report that cannot be used: unreadable, of another version, contradictory, or about something else."""

    exit_code = ExitCode.USAGE


class PostError(PgauditError):
    """GitHub refused a review or could not be reached. What was posted so far is true; running again completes it."""

    exit_code = ExitCode.INCOMPLETE


class RulebookError(PgauditError):
    """A rule or a policy file breaks the rulebook's own invariants: a bug in pgaudit, not in a submission."""
