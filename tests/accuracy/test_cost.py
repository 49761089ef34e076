"""The benchmark: what it measures on a tiny clone, and how it sums up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accuracy import cost
from tests.accuracy.cost import Cost


def test_every_distinct_script_is_measured_once(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(["--repo", str(clone), "--prs", "1-5"]) == 0
    one, total = capsys.readouterr().out.splitlines()
    assert one.startswith("#1 records/track_10min_16mb/2026-04-01_Example: 181 lines, parse 0.")
    assert total.startswith("1 scripts, audit / parse: median ")


def test_the_memory_of_one_audit(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(["--repo", str(clone), "--memory", "1"]) == 0
    name, _, size = capsys.readouterr().out.partition(": peak RSS ")
    assert name == "#1"
    assert 20 < int(size.removesuffix(" MiB\n")) < 2000


def test_what_is_kept_back_is_not_opened(clone: Path) -> None:
    with pytest.raises(SystemExit, match="kept back"):
        cost.main(["--repo", str(clone), "--memory", "3"])


def test_the_summary() -> None:
    costs = [Cost(0.5, 0.5 * ratio) for ratio in range(1, 101)]
    assert cost.summary(costs).startswith("100 scripts, audit / parse: median 51.00, p95 96.00, max 100.00; ")
    assert cost.summary([]) == "no main script"
