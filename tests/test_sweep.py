"""Sweeps: every pull request gets its lines, in order, whatever happens to its neighbours."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from pgaudit.cli.sweep import select
from pgaudit.errors import TargetError
from pgaudit.rulebook import rules_directory
from pgaudit.sweep import Settings, Worker, sweep
from tests.support import FOLDER, run_pgaudit, write_rule


def test_every_record_folder_has_a_line_in_the_order_of_the_numbers(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers").write_text("5\n1\n\n4\n2\n99\n")
    done = run_pgaudit("sweep", "--repo", clone, "--prs", f"@{tmp_path / 'numbers'}", "--jobs", "2")
    lines = [json.loads(row) for row in done.out.splitlines()]
    assert [(line["pr"], line["folder"], line["verdict"]) for line in lines] == [
        (1, FOLDER, "clean"),
        (2, FOLDER, "defect"),
        (4, ".", "incomplete"),
        (5, FOLDER, "clean"),
        (5, FOLDER.replace("Example", "Other"), "clean"),
        (99, ".", "incomplete"),
    ]
    assert lines[2]["gaps"] == [{"check": "collect", "reason": "no record folder"}]
    assert "99" in lines[5]["gaps"][0]["reason"]


def test_a_sweep_says_the_same_with_any_number_of_processes(clone: Path) -> None:
    one = run_pgaudit("sweep", "--repo", clone, "--prs", "1-5", "--jobs", "1")
    two = run_pgaudit("sweep", "--repo", clone, "--prs", "1-5", "--jobs", "2")
    assert one.out == two.out
    assert one.out.count("\n") == 5


def test_a_sweep_and_a_scan_agree(clone: Path) -> None:
    line = json.loads(run_pgaudit("sweep", "--repo", clone, "--prs", "2").out)
    scanned = json.loads(run_pgaudit("scan", "--repo", clone, "--pr", "2", "--format", "json").out)["submissions"][0]
    for key in ("pr", "folder", "verdict", "mechanisms", "level", "head"):
        assert line[key] == scanned[key]
    assert [finding["rule"] for finding in line["findings"]] == [finding["rule"] for finding in scanned["findings"]]


def test_a_worker_that_hangs_is_replaced(clone: Path, tmp_path: Path) -> None:
    file = write_rule(tmp_path, "voice/silence")
    file.write_text(
        file.read_text().replace("def check(evidence", "import time\n\n\ndef check(evidence") + "    time.sleep(3600)\n"
    )
    (folders, after) = sweep([1, 2], Settings(clone, tmp_path), jobs=1, seconds=3)
    assert [folder.gaps[0].reason for folder in (*folders, *after)] == ["not audited within 3 s"] * 2


def test_a_worker_that_is_killed_costs_one_pull_request(clone: Path, tmp_path: Path) -> None:
    file = write_rule(tmp_path, "voice/silence")
    suicide = "    if evidence.submission.origin.pr == 2:\n        os.kill(os.getpid(), 9)\n"
    file.write_text(file.read_text().replace("def check(evidence", "import os\n\n\ndef check(evidence") + suicide)
    reports = list(sweep([1, 2, 5], Settings(clone, tmp_path), jobs=1))
    assert [[folder.pr for folder in folders] for folders in reports] == [[1], [2], [5, 5]]
    assert reports[1][0].gaps[0].reason == "the audit process died (killed by SIGKILL)"
    assert reports[0][0].gaps == ()


def test_stopping_a_worker_ends_its_process(clone: Path) -> None:
    worker = Worker(Settings(clone, rules_directory()))
    worker.stop()
    assert worker.process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("7", [7]),
        ("1-10", [1, 4, 5]),
        ("5-10,1", [1, 5]),
        ("9,1-4", [1, 4, 9]),
        ("5 1", [1, 5]),
        ("6-9", []),
    ],
)
def test_numbers_and_ranges(text: str, numbers: list[int]) -> None:
    assert select(text, [1, 4, 5]) == numbers


@pytest.mark.parametrize("text", ["", "one", "1-", "-1", "1-2-3", "1.5", "@/no/such/file", "9999999999"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="--prs"):
        select(text, [1])
