"""The tables: what counts as found, named, extra and accused, and how corrections of labels show."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgaudit.output.jsonl import line
from pgaudit.report import Report
from tests.accuracy import table
from tests.accuracy.corrections import BadCorrection, read_corrections
from tests.accuracy.counting import Count, count
from tests.accuracy.lines import Key, chosen, read_labels, read_results

Write = Callable[..., Path]

UNCORRECTED = ("--corrections", os.devnull)
"""The shipped corrections are those of real labels."""


def label(pr: int, verdict: str, *mechanisms: str, tier: str = "gold", channel: str = "code") -> dict[str, Any]:
    return {
        "pr": pr,
        "folder": "records/one",
        "verdict": verdict,
        "mechanisms": mechanisms,
        "tier": tier,
        "channel": channel,
        "where": "train_gpt.py:7",
        "why": "it says so",
    }


def result(pr: int, verdict: str, *mechanisms: str) -> dict[str, Any]:
    return {"pr": pr, "folder": "records/one/", "verdict": verdict, "mechanisms": mechanisms, "level": "claimed"}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def run(name: str, *rows: dict[str, Any]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return run


@pytest.fixture
def counted(write: Write) -> Callable[..., Count]:
    def run(of_label: dict[str, Any], *of_result: dict[str, Any]) -> Count:
        return count(read_labels(write("labels", of_label)), read_results(write("results", *of_result)))

    return run


@pytest.mark.parametrize(
    "verdict, slugs, row, agrees",
    [
        ("illegal", ["prequant-ttt"], (1, 1, 1, 0, 0, 0), True),
        ("illegal", ["ttt-rescore"], (1, 1, 1, 0, 0, 0), True),  # of the same family
        ("illegal", ["slot-shared-delta"], (1, 1, 0, 1, 0, 0), False),
        ("illegal", ["prequant-ttt", "slot-shared-delta"], (1, 1, 1, 1, 0, 0), False),
        ("illegal", ["prequant-ttt", "oversize"], (1, 1, 1, 0, 0, 0), True),  # a fact beside it
        ("review", [], (1, 0, 0, 0, 1, 0), False),
        ("incomplete", [], (1, 0, 0, 0, 0, 1), False),
        ("clean", [], (1, 0, 0, 0, 0, 0), False),
    ],
)
def test_an_illegal_line(
    counted: Callable[..., Count], verdict: str, slugs: list[str], row: tuple[int, ...], agrees: bool
) -> None:
    total = counted(label(7, "illegal", "prequant-ttt"), result(7, verdict, *slugs))
    for counts in (total.illegal, total.recall["prequant-ttt"]):
        assert tuple(getattr(counts, name) for name in table.RECALL) == row
    assert (total.disagreements == []) is agrees


def test_a_line_with_two_mechanisms_is_named_for_the_one_that_was_found(counted: Callable[..., Count]) -> None:
    total = counted(label(7, "illegal", "prequant-ttt", "calib-val"), result(7, "illegal", "prequant-ttt"))
    assert (total.recall["prequant-ttt"].named, total.recall["calib-val"].named, total.illegal.named) == (1, 0, 1)


@pytest.mark.parametrize(
    "of_label, verdict, agrees",
    [
        ("legal", "illegal", False),
        ("legal", "defect", False),
        ("legal", "review", True),
        ("legal", "clean", True),
        ("defect", "defect", True),
        ("defect", "clean", False),
        ("disputed", "defect", True),
        ("disputed", "illegal", False),
    ],
)
def test_a_line_that_is_not_illegal(counted: Callable[..., Count], of_label: str, verdict: str, agrees: bool) -> None:
    total = counted(label(7, of_label, "clean-pure-neural"), result(7, verdict))
    assert total.alarms[of_label, "clean-pure-neural"].illegal == (verdict == "illegal")
    assert total.confusion == {(of_label, verdict): 1}
    assert (total.disagreements == []) is agrees


def test_a_label_without_a_result_is_open(counted: Callable[..., Count]) -> None:
    total = counted(label(7, "illegal", "prequant-ttt"))
    assert (total.illegal.open, total.confusion) == (1, {("illegal", "missing"): 1})


def test_tiers_channels_and_folders_choose_lines(write: Write) -> None:
    rows = [
        label(1, "illegal", "a"),
        label(2, "illegal", "a", tier="silver"),
        label(4, "illegal", "a", channel="log"),
        label(5, "legal", "b", channel="log"),
    ]
    labels = read_labels(write("labels", *rows))
    for select, numbers in (
        (("gold", "code,code+config", None), [1, 5]),
        (("all", "all", None), [1, 2, 4, 5]),
        (("gold", "all", frozenset({Key(4, "records/one")})), [4]),
    ):
        assert [each.key.pr for each in chosen(labels, *select)] == numbers


def test_the_report_shows_the_trace_of_a_finding_as_a_sweep_writes_it(
    write: Write, tmp_path: Path, judge: Callable[..., Report], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = judge("print(1)\nSHOUT = 1\n").submissions
    (tmp_path / "results").write_text(line(folder))
    labels = write("labels", label(7, "legal", "clean-pure-neural") | {"folder": folder.folder})
    assert table.main([str(labels), str(tmp_path / "results"), *UNCORRECTED]) == 0
    out = capsys.readouterr().out
    assert "legal: clean-pure-neural      1        1" in out
    assert f"#7 {folder.folder}\n  label legal clean-pure-neural (train_gpt.py:7): it says so\n" in out
    assert "    error[voice/shout] train_gpt.py:2: the script shouts on line 2 (high)\n" in out
    assert "      train_gpt.py:1: the script begins\n      train_gpt.py:2: it is shouted\n" in out
    assert "corrected labels: 0\n" in out


def test_markdown_keeps_text_of_strangers_plain(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write("labels", label(7, "legal", "clean-pure-neural") | {"why": "<b>@ada</b>"})
    table.main([str(labels), str(write("results", result(7, "defect"))), "--markdown", *UNCORRECTED])
    out = capsys.readouterr().out
    assert "| legal: clean-pure-neural | 1 | 0 | 1 | 0 | 0 |" in out
    assert "<b>" not in out
    assert "@ada" not in out


CORRECTION = """[[correction]]
pr = 7
folder = "records/one"
verdict = "illegal"
mechanisms = ["prequant-ttt"]
why = "train_gpt.py:12 steps before it scores"
"""


def test_corrected_labels_are_shown_both_ways(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corrections").write_text(CORRECTION)
    labels, results = (
        write("labels", label(7, "legal", "clean-pure-neural")),
        write("results", result(7, "illegal", "prequant-ttt")),
    )
    assert table.main([str(labels), str(results), "--corrections", str(tmp_path / "corrections")]) == 0
    out = capsys.readouterr().out
    raw, _, right = out.partition("illegal, labels as corrected\n")
    assert "legal: clean-pure-neural      1        1" in raw
    assert "prequant-ttt      1      1      1" in right
    assert "corrected labels: 1\n  #7 records/one: legal clean-pure-neural, corrected to illegal prequant-ttt:" in right
    assert "disagreements: 0" in right


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("train_gpt.py:12 steps", "it steps", "no FILE:LINE"),
        ('"illegal"', '"bad"', "the verdict is one of"),
        ('why = "', 'reason = "', "needs exactly"),
        ("", CORRECTION, "corrected twice"),
    ],
)
def test_a_correction_keeps_to_the_form(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "corrections").write_text(CORRECTION.replace(old, new, 1))
    with pytest.raises(BadCorrection, match=message):
        read_corrections(tmp_path / "corrections")


@pytest.mark.parametrize(
    "of_label, message",
    [(label(8, "legal", "x"), "no such label"), (label(7, "illegal", "prequant-ttt"), "the same by now")],
)
def test_a_correction_corrects_something(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], of_label: dict[str, Any], message: str
) -> None:
    (tmp_path / "corrections").write_text(CORRECTION)
    paths = [str(write("labels", of_label)), str(write("results"))]
    assert table.main([*paths, "--corrections", str(tmp_path / "corrections")]) == 2
    assert message in capsys.readouterr().err


def test_the_shipped_corrections_keep_to_the_form() -> None:
    assert {key.pr % 3 for key in read_corrections()} <= {1, 2}
