"""The comparison of logs: what agrees, what is counted, and which logs are looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgaudit.submission import File
from tests.accuracy import logs
from tests.accuracy.lines import KEPT_BACK
from tests.accuracy.logs import Facts, Name, Survey

RUN = """\
seed:7
world_size:8 grad_accum_steps:1
step:9/9 val_loss:2.0 val_bpb:1.3 train_time:600028ms
Total submission size int8+zlib: 15868326 bytes
final_int8_zlib_roundtrip val_loss:1.9 val_bpb:1.2
"""
FACTS = Facts(1.2, 600.028, 15_868_326)


def name(number: int) -> Name:
    return Name(number, "records/one", "train.log")


def test_agreement_by_fact() -> None:
    found = {name(1): FACTS, name(2): Facts(1.2, None, 15_868_326), name(4): Facts(None, 600.0284, 7)}
    table = dict.fromkeys((name(1), name(2), name(4), name(5)), FACTS)
    assert logs.compare(table, found).splitlines() == [
        "final metric: 2 of 4 agree",
        "training time: 2 of 4 agree",
        "total bytes: 2 of 4 agree",
        "#2 records/one/train.log: training time: 600.028 by hand, nothing read",
        "#4 records/one/train.log: final metric: 1.2 by hand, nothing read",
        "#4 records/one/train.log: total bytes: 15868326 by hand, 7 read",
        "#5 records/one/train.log: not in the clone",
    ]


def test_shares_over_logs() -> None:
    survey = Survey()
    assert str(survey) == "no log"
    for text in (RUN, "nothing\n"):
        survey.add(File("train.log", len(text), text.encode))
    assert {fact: survey.found[fact] for fact in logs.NAMES} == {
        "final metric": 1,
        "training time": 1,
        "total bytes": 1,
        "seed": 1,
        "world size": 1,
        "GPU": 0,
        "validation tokens": 0,
        "train shards": 0,
    }
    assert "training time: 1 of 2 (50.0%); of 1 that a plain search says state it: 1 (100.0%)" in str(survey)
    assert "GPU: 0 of 2 (0.0%)" in str(survey).splitlines()


def test_a_fact_that_the_reader_misses_is_counted() -> None:
    survey = Survey()
    survey.add(File("train.log", 24, "note: val_bpb => 1.2345\n".encode))
    assert "of 1 that a plain search says state it: 0 (0.0%)" in str(survey)


def test_the_table() -> None:
    table = logs.read_table(logs.TABLE)
    assert len(table) == logs.SAMPLE
    assert list(table) == sorted(table)
    assert all(name.pr % KEPT_BACK for name in table)


def test_a_fact_that_is_not_there_has_its_reason() -> None:
    rows = [line.split("\t") for line in logs.TABLE.read_text("utf-8").splitlines() if not line.startswith("#")][1:]
    assert [row for row in rows if "" in row[3:6] and not row[6]] == []


def test_the_clone_is_read(clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert logs.main(["--repo", str(clone), "--prs", "1-5", "--draw"]) == 0
    drawn = [Name(int(pr), *rest) for pr, *rest in (row.split("\t") for row in capsys.readouterr().out.splitlines())]
    assert [each.pr for each in drawn] == [1, 1, 1]
    monkeypatch.setattr(logs, "read_table", lambda path: dict.fromkeys(drawn, Facts(None, None, None)))
    assert logs.main(["--repo", str(clone), "--prs", "1-5"]) == 0
    assert "3 logs, " in capsys.readouterr().out


def test_claims_of_a_clone_are_timed(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.main(["--repo", str(clone), "--prs", "1-5"])
    assert "4 submission.json read in" in capsys.readouterr().out
