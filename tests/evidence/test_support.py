"""Which log lines stand behind a claimed score."""

from __future__ import annotations

from pgaudit.evidence.logs import Log, read_log
from pgaudit.evidence.support import averaged
from pgaudit.submission import File


def log_of(path: str, **stages: float) -> Log:
    text = "".join(f"{stage} val_bpb:{value}\n" for stage, value in stages.items()).encode()
    return read_log(File(path, len(text), lambda: text))


def logs_of(stage: str, *values: float) -> list[Log]:
    return [log_of(f"{number}.log", **{stage: value}) for number, value in enumerate(values)]


def test_the_mean_of_all_logs_may_be_rounded() -> None:
    assert sorted(averaged(logs_of("final", 1.10, 1.12, 1.14), 1.12003)) == ["0.log", "1.log", "2.log"]


def test_the_mean_of_some_logs_has_to_be_exact() -> None:
    logs = logs_of("final", 1.10, 1.12, 1.20)
    assert sorted(averaged(logs, 1.16)) == ["1.log", "2.log"]
    assert averaged(logs, 1.16003) == {}


def test_all_logs_of_a_later_stage_come_before_some_of_an_earlier_one() -> None:
    logs = [log_of("a", early=1.1, late=1.3), log_of("b", early=1.3, late=1.2), log_of("c", early=1.9, late=1.1)]
    assert {metric.stage for metric in averaged(logs, 1.2).values()} == {"late"}


def test_one_log_that_is_there_twice_is_no_mean() -> None:
    assert averaged(logs_of("final", 1.1, 1.1), 1.1) == {}
