"""The ledger: what is finished stays, across a crash, a full disk and a wrong folder; and the command goes on from it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgaudit.errors import TargetError
from pgaudit.reproduce.ledger import NAME, Ledger, LedgerError
from pgaudit.sandbox import Backend
from tests.reproduce.support import MARKER, reproduce, still_running, write_folder
from tests.support import CHECKOUT, run_pgaudit


def test_finished_seeds_are_found_again(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.begin("plan", "{}")
    ledger.start(42)
    ledger.finish(42, {"val_bpb": 1.2})
    ledger.start(1337)
    ledger.release()  # and not closed: its process was killed
    again = Ledger.open(tmp_path)
    again.resume("plan")
    assert again.finished(42) == {"val_bpb": 1.2}
    assert again.finished(1337) is None
    again.start(1337)
    ledger.close()
    again.close()


def test_a_new_run_knows_nothing_of_the_one_before(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.begin("plan", "{}")
    ledger.start(42)
    ledger.finish(42, {})
    ledger.begin("plan", "{}")
    assert ledger.finished(42) is None
    with pytest.raises(TargetError, match="no run of this plan"):
        ledger.resume("another")
    ledger.close()


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="runs cannot be kept here"):
        Ledger.open(tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / NAME).write_text("this is no database, and long enough to be looked at" * 99)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger.open(tmp_path / "other")


def test_a_ledger_of_another_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match="another version"):
        Ledger.open(tmp_path)


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.begin("plan", "{}")
    ledger.start(42)
    ledger.finish(42, {"val_bpb": 1.2})
    pages = ledger.connection.execute("PRAGMA page_count").fetchone()[0]
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
    ledger.start(1337)
    with pytest.raises(LedgerError, match="full"):
        ledger.finish(1337, {"padding": "x" * 100_000})
    assert ledger.finished(42) == {"val_bpb": 1.2}
    ledger.close()


def test_a_killed_command_goes_on_without_repeating_a_seed(sandbox: Backend, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission", step="if SEED == 1337 and WAIT: time.sleep(900)", begin="WAIT = os.environ.get('WAIT') == '1'")  # fmt: skip
    runs = tmp_path / "runs"
    marker = "resume-test"
    command = [
        sys.executable,
        "-m",
        "pgaudit",
        "reproduce",
        str(folder),
        "--runs",
        str(runs),
        "--seeds",
        "42,1337,2024",
    ]
    command += ["--gpus", "0", "--format", "json", "--set", f"{MARKER}={marker}"]
    with subprocess.Popen(
        [*command, "--set", "WAIT=1"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as first:
        ledger = runs / NAME
        while first.poll() is None and not (
            _seeds(ledger) == [(42, True), (1337, False)] and list(still_running(marker))
        ):
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    while list(still_running(marker)):  # the sandbox goes with the process that started it
        time.sleep(0.05)
    kept = (runs / "run1/seed42/output.log").stat().st_mtime_ns
    changed = run_pgaudit(*command[3:], "--resume")
    assert changed.status == 2  # without WAIT it is another plan
    again = subprocess.Popen([*command, "--set", "WAIT=1", "--resume"], cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    with again:
        assert again.stderr is not None
        assert again.stderr.readline() == "seed 1337: started\n"
        again.send_signal(signal.SIGKILL)
    while list(still_running(marker)):
        time.sleep(0.05)
    assert (runs / "run1/seed42/output.log").stat().st_mtime_ns == kept
    assert _seeds(ledger) == [(42, True), (1337, False)]


def test_a_run_that_goes_on_elsewhere_is_left_alone(tmp_path: Path) -> None:
    first, second = Ledger.open(tmp_path), Ledger.open(tmp_path)
    first.begin("plan", "{}")
    with pytest.raises(LedgerError, match="another pgaudit is at this run"):
        second.resume("plan")
    second.begin("plan", "{}")  # a run of its own
    first.close()
    second.close()
    third = Ledger.open(tmp_path)
    third.resume("plan")
    fourth = Ledger.open(tmp_path)
    fourth.resume("plan")  # the same files in two pull requests
    assert (third.run, fourth.run) == (2, 1)
    third.close()
    fourth.close()


def test_a_finished_run_is_only_reported_again(sandbox: Backend, tmp_path: Path) -> None:
    folder, runs = write_folder(tmp_path / "submission"), tmp_path / "runs"
    options = ("reproduce", folder, "--runs", runs, "--seeds", "42", "--gpus", "0", "--format", "json")
    first = run_pgaudit(*options)
    again = run_pgaudit(*options, "--resume")
    assert (again.status, again.out) == (0, first.out)
    assert "started" in first.err
    assert "started" not in again.err
    more = reproduce(folder, runs)  # another marker, so another plan and another run
    assert more.status == 0
    assert (runs / "run2/seed42/output.log").is_file()


def _seeds(ledger: Path) -> list[tuple[int, bool]]:
    if not ledger.exists():
        return []
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT seed, result IS NOT NULL FROM seed ORDER BY rowid").fetchall()
    except sqlite3.Error:
        return []
    finally:
        connection.close()
