"""The golden list: the same bytes for the same verdicts, and a readable account of every change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.accuracy import golden
from tests.accuracy.lines import Key

HEAD = "0123456789abcdef0123456789abcdef01234567"


def row(
    pr: int, verdict: str, *mechanisms: str, folder: str = "records/one", head: str | None = HEAD
) -> dict[str, Any]:
    return {"pr": pr, "folder": folder, "verdict": verdict, "mechanisms": mechanisms, "level": "claimed", "head": head}


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return str(path)


def test_the_file_is_sorted_and_the_same_for_any_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(10, "illegal", "b", "a"), row(2, "clean", folder="records/two"), row(2, "incomplete", head=None)]
    written = set()
    for index, order in enumerate((rows, rows[::-1])):
        file = tmp_path / f"golden{index}"
        assert golden.main([write(tmp_path / "results", *order), "--golden", str(file)]) == 0
        written.add(file.read_bytes())
    (only,) = written
    assert only.decode().splitlines() == [
        "pr\tfolder\thead\tverdict\tmechanisms",
        "2\trecords/one\t-\tincomplete\t-",
        "2\trecords/two\t0123456789ab\tclean\t-",
        "10\trecords/one\t0123456789ab\tillegal\ta,b",
    ]


def test_a_check_tells_every_kind_of_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [row(1, "clean"), row(2, "clean"), row(4, "illegal", "a"), row(5, "clean"), row(7, "clean")]
    after = [row(1, "illegal", "a"), row(2, "illegal", "b"), row(4, "illegal", "c"), row(7, "clean", head="f" * 40)]
    file = str(tmp_path / "golden")
    golden.main([write(tmp_path / "before", *before), "--golden", file])
    capsys.readouterr()
    results = write(tmp_path / "after", *after, row(8, "review"))
    assert golden.main([results, "--golden", file, "--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "added: 1",
        "  #8 records/one: review -",
        "illegal, other mechanisms: 1",
        "  #4 records/one: a -> c",
        "removed: 1",
        "  #5 records/one: clean -",
        "same verdict, other head: 1",
        "  #7 records/one: - -> - (head 0123456789ab -> ffffffffffff)",
        "clean -> illegal: 2",
        "  #1 records/one: - -> a",
        "  #2 records/one: - -> b",
    ]


def test_nothing_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, file = write(tmp_path / "results", row(1, "clean")), str(tmp_path / "golden")
    golden.main([results, "--golden", file])
    assert golden.main([results, "--golden", file, "--check"]) == 0
    assert capsys.readouterr().out.endswith("the same 1 verdicts\n")


def test_what_was_written_is_read_back() -> None:
    now = {Key(1, "records/one"): golden.Verdict("0123456789ab", "illegal", "a,b")}
    assert golden.parse(golden.render(now)) == now
