"""One audit: what becomes of every rule, and from findings and gaps to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.report import Outcome, Report
from pgaudit.submission import Collected, File, Origin, Submission, UnreadableFile
from pgaudit.verdict import Level, Verdict
from tests.support import FOLDER, submission, write_complete

Judge = Callable[..., Report]


def test_a_finding_gives_the_verdict_of_its_rule(judge: Judge) -> None:
    (folder,) = judge("print()\nprint('SHOUT')\n").submissions
    assert folder.verdict is Verdict.ILLEGAL
    assert folder.mechanisms == ("shouting",)
    assert [str(finding.location) for finding in folder.findings] == ["train_gpt.py:2"]
    assert folder.outcomes == {
        "voice/mumble": Outcome.CLEAN,
        "voice/shout": Outcome.FIRED,
        "voice/silence": Outcome.CLEAN,
    }


@pytest.mark.parametrize(
    "word, verdict, mechanisms",
    [
        ("quiet", Verdict.CLEAN, ()),
        ("HUM", Verdict.CLEAN, ()),
        ("MUMBLE", Verdict.REVIEW, ()),
        ("MUMBLE SILENCE", Verdict.INCOMPLETE, ()),
        ("GRUNT SILENCE", Verdict.DEFECT, ("mumbling",)),
        ("GRUNT SHOUT", Verdict.ILLEGAL, ("mumbling", "shouting")),
    ],
)
def test_precedence_of_verdicts(judge: Judge, word: str, verdict: Verdict, mechanisms: tuple[str, ...]) -> None:
    (folder,) = judge(f"print('{word}')\n").submissions
    assert (folder.verdict, folder.mechanisms) == (verdict, mechanisms)


def test_a_rule_that_cannot_decide_says_so(judge: Judge) -> None:
    (folder,) = judge("print('SILENCE')\n").submissions
    assert folder.outcomes["voice/silence"] is Outcome.NOT_DECIDED
    assert [(gap.check, gap.reason) for gap in folder.gaps] == [("voice/silence", "nothing to hear")]


def test_a_crash_is_a_gap_and_costs_nothing_else(judge: Judge) -> None:
    (folder,) = judge("print('CRASH SHOUT')\n").submissions
    assert folder.verdict is Verdict.ILLEGAL
    assert folder.outcomes["voice/silence"] is Outcome.CRASHED
    assert [finding.message for finding in folder.findings][-1] == "heard before the crash"
    (gap,) = folder.gaps
    assert gap.reason.startswith("pgaudit crashed here: ValueError at voice/silence.py:")


def test_an_interrupt_is_not_a_crash(rules: Path) -> None:
    file = rules / "voice/silence.py"
    file.write_text(file.read_text().replace("raise ValueError(line)", "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        audit(submission("CRASH"), rulebook.load(rules), policy.load())


def test_a_file_that_cannot_be_read_leaves_the_verdict_open(rules: Path) -> None:
    def refuse() -> bytes:
        raise UnreadableFile("train_gpt.py", "is a device")

    origin = Origin("a test")
    files = {"train_gpt.py": File("train_gpt.py", 3, refuse)}
    report = audit(Collected(origin, (Submission(FOLDER, files, origin),)), rulebook.load(rules), policy.load())
    (folder,) = report.submissions
    assert folder.verdict is Verdict.INCOMPLETE
    assert set(folder.outcomes.values()) == {Outcome.NOT_DECIDED}
    assert "is a device" in {gap.reason for gap in folder.gaps}


@pytest.mark.parametrize(
    "old, new, level",
    [
        ("", "", Level.CONSISTENT),
        ('"val_bpb": 1.220887', '"val_bpb": 1.2207588', Level.CONSISTENT),
        ('"val_bpb": 1.220887', '"val_bpb": 1.21', Level.CLAIMED),
    ],
)
def test_a_claim_is_consistent_if_a_log_or_the_mean_of_the_logs_says_so(
    tmp_path: Path, rules: Path, old: str, new: str, level: Level
) -> None:
    folder = write_complete(tmp_path / "folder")
    claims = (folder / "submission.json").read_text()
    assert old in claims
    (folder / "submission.json").write_text(claims.replace(old, new))
    others = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "train_gpt.py"}
    report = audit(submission("print()", others), rulebook.load(rules), policy.load())
    assert report.submissions[0].level is level


def test_a_claim_without_a_log_stays_a_claim(judge: Judge) -> None:
    assert judge("print()").submissions[0].level is Level.CLAIMED
