"""What has been run, written as it goes, so that a killed command never repeats a finished seed. SQLite, one file."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgaudit.errors import ExitCode, PgauditError, TargetError

NAME = "ledger.sqlite"
VERSION = 3
TABLES = """
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, plan TEXT NOT NULL, description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seed (
    run INTEGER NOT NULL REFERENCES run(id), seed INTEGER NOT NULL, input TEXT NOT NULL, text TEXT NOT NULL, result TEXT,
    PRIMARY KEY (run, seed, input, text)
);
"""
"""``plan`` is the digest of what was to be run, ``description`` all of it and its sandbox as JSON, ``text`` the digest of a held-out
text. A seed without a result was begun and not
finished."""
OFFICIAL = ("official", "")
"""Input and text of a seed that is run as the plan says."""


class LedgerError(PgauditError):
    """The ledger cannot be read or written; what it holds stays as it is."""

    exit_code = ExitCode.INCOMPLETE


@dataclass
class Ledger:
    """The ledger of one folder of runs. Every change is on disk when the call returns."""

    path: Path
    connection: sqlite3.Connection
    run: int = 0
    held: int | None = None
    """Descriptor of the run's folder, locked."""

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """Open or make the ledger of a folder. Raises ``LedgerError``."""
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=10, isolation_level=None)
            with _explained(path):
                connection.execute("PRAGMA synchronous = FULL")
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, VERSION):
                    raise LedgerError(
                        f"{path}: written by another version of pgaudit", "name another folder with --runs"
                    )
                connection.executescript(TABLES)
                connection.execute(f"PRAGMA user_version = {VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(
                f"{folder}: runs cannot be kept here: {_reason(error)}", "name another with --runs"
            ) from None
        return cls(path, connection)

    def begin(self, plan: str, description: str) -> None:
        """A new run of a plan."""
        with _explained(self.path):
            cursor = self.connection.execute("INSERT INTO run (plan, description) VALUES (?, ?)", (plan, description))
        assert cursor.lastrowid is not None
        self.run = cursor.lastrowid
        self._hold()

    def knows(self, plan: str) -> bool:
        """Whether it holds a run of a plan."""
        with _explained(self.path):
            row = self.connection.execute("SELECT 1 FROM run WHERE plan = ?", (plan,)).fetchone()
        return row is not None

    def resume(self, plan: str) -> None:
        """Go on with the last run of a plan that nobody is at.

        Raises ``TargetError`` where there is none, ``LedgerError`` where all of them are being run.
        """
        with _explained(self.path):
            rows = self.connection.execute("SELECT id FROM run WHERE plan = ? ORDER BY id DESC", (plan,)).fetchall()
        if not rows:
            raise TargetError(
                f"{self.path.parent} holds no run of this plan to go on with",
                hint="a changed submission, command, data or limit is another plan; drop --resume to begin",
            )
        for (run,) in rows:
            self.run = run
            if self._hold():
                return
        raise LedgerError(f"{self.path.parent}: another pgaudit is at this run", "wait for it to end, then --resume")

    def start(self, seed: int, given: tuple[str, str] = OFFICIAL) -> None:
        """A seed begins; one that was begun before and not finished begins again."""
        with _explained(self.path):
            self.connection.execute(
                "INSERT OR IGNORE INTO seed (run, seed, input, text) VALUES (?, ?, ?, ?)", (self.run, seed, *given)
            )

    def finish(self, seed: int, result: dict[str, Any], given: tuple[str, str] = OFFICIAL) -> None:
        """What a seed came to."""
        document = json.dumps(result, sort_keys=True, allow_nan=False)
        with _explained(self.path):
            self.connection.execute(
                "UPDATE seed SET result = ? WHERE run = ? AND seed = ? AND input = ? AND text = ?",
                (document, self.run, seed, *given),
            )

    def finished(self, seed: int, given: tuple[str, str] = OFFICIAL) -> dict[str, Any] | None:
        """What a finished seed came to."""
        with _explained(self.path):
            row = self.connection.execute(
                "SELECT result FROM seed WHERE run = ? AND seed = ? AND input = ? AND text = ?",
                (self.run, seed, *given),
            ).fetchone()
        if row is None or row[0] is None:
            return None
        found: dict[str, Any] = json.loads(row[0])
        return found

    def last(self, seed: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The description of the last run that finished a seed on the official input, and what it came to."""
        query = "SELECT description, result FROM seed JOIN run ON run.id = seed.run WHERE seed = ? AND input = ? AND result IS NOT NULL"
        with _explained(self.path):
            row = self.connection.execute(f"{query} ORDER BY run.id DESC LIMIT 1", (seed, OFFICIAL[0])).fetchone()
        return None if row is None else (json.loads(row[0]), json.loads(row[1]))

    def release(self) -> None:
        """Let others go on with the run."""
        if self.held is not None:
            os.close(self.held)
            self.held = None

    def close(self) -> None:
        """Release the run and the file."""
        self.release()
        self.connection.close()

    def _hold(self) -> bool:
        """Keep others from this run, as long as this process lives: two would write over each other's folders."""
        self.release()
        folder = self.path.parent / f"run{self.run}"
        try:
            folder.mkdir(exist_ok=True)
            self.held = os.open(folder, os.O_RDONLY)
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            raise LedgerError(f"{folder}: {_reason(error)}", "name another folder with --runs") from None
        return True


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite raises (disk full, read-only, locked, not a database) into one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path}: {_reason(error)}", "finished seeds are kept; free the disk, then --resume"
        ) from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
