"""Halves: copies stay together, near copies are told apart, and the lists are what ``table --only`` reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.accuracy import halves
from tests.accuracy.lines import Key, read_keys
from tests.support import FOLDER


def test_a_copy_is_in_the_half_of_its_original() -> None:
    texts = {f"print({number})": [Key(number, "a"), Key(number, "b")] for number in range(20)}
    split = halves.halves(texts)
    assert sorted({key.pr for key in split.a} | {key.pr for key in split.b}) == list(range(20))
    assert not {key.pr for key in split.a} & {key.pr for key in split.b}
    assert len(split.a) == 2 * split.scripts[0] > 0
    assert len(split.b) == 2 * split.scripts[1] > 0


@pytest.mark.parametrize("shared, near", [(6, False), (7, True), (10, True)])
def test_seven_of_ten_lines_make_a_near_copy(shared: int, near: bool) -> None:
    lines = halves.lines_of("\n".join(f"  line {number}\n" for number in range(10)))
    other = halves.lines_of("\n".join(f"line {number}" for number in range(10 - shared, 40)))
    assert len(lines) == 10
    assert halves.is_near(lines, [halves.lines_of("line 9"), other]) is near


def test_near_copies_are_left_out_of_the_far_list() -> None:
    common = "\n".join(f"line {number}" for number in range(50))
    texts = {f"{common}\nown {number}": [Key(number, "near")] for number in range(10)}
    alone = {f"other {number}": [Key(number, "far")] for number in range(10)}
    split = halves.halves(texts | alone)
    assert {key.folder for key in split.b} == {"near", "far"}
    assert {key.folder for key in split.far} == {"far"}


def test_the_lists_of_a_clone(clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"folder": FOLDER, "verdict": "legal", "mechanisms": ["x"], "tier": "gold", "channel": "code"}
    labels = tmp_path / "labels"
    labels.write_text("".join(json.dumps(row | {"pr": pr}) + "\n" for pr in (1, 3, 5)))
    assert halves.main([str(labels), "--repo", str(clone), "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1 scripts, 2 lines\n" in out
    assert "without main script: 1\n" in out  # 3 is kept back
    both = read_keys(tmp_path / "half_a.tsv") | read_keys(tmp_path / "half_b.tsv")
    assert both == {Key(1, FOLDER), Key(5, FOLDER)}
