"""Waivers: only the referee sets findings aside, with scope, reason, author and end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pgaudit import waivers
from pgaudit.errors import WaiverError
from pgaudit.report import FailOn, Report
from pgaudit.verdict import Verdict
from pgaudit.waivers import Waivers
from tests.support import FOLDER

TODAY = date(2026, 5, 1)
RULES = {"voice/shout", "voice/mumble"}
GOOD = """[[waiver]]
rule = "voice/shout"
pr = 7
reason = "a quotation"
author = "ada"
expires = 2026-05-01
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Waivers]:
    def run(text: str) -> Waivers:
        (tmp_path / "waivers.toml").write_text(text)
        return waivers.load(tmp_path / "waivers.toml", RULES, TODAY)

    return run


def test_a_waived_finding_is_set_aside_and_counted(
    load: Callable[[str], Waivers], judge: Callable[..., Report]
) -> None:
    report = judge("SHOUT\n", load(GOOD))
    (folder,) = report.submissions
    assert (folder.verdict, folder.mechanisms, folder.findings) == (Verdict.CLEAN, (), ())
    assert [(item.finding.rule, item.waiver.author) for item in folder.waived] == [("voice/shout", "ada")]
    assert report.exit_code(FailOn.NOTE) == 0
    assert report.unused_waivers == ()


@pytest.mark.parametrize(
    "old, new, covered",
    [
        ("pr = 7", "pr = 8", False),
        ("pr = 7", 'folder = "records/*/2026-04-*"', True),
        ("pr = 7", f'pr = 7\nfolder = "{FOLDER}"', True),
        ("pr = 7", f'pr = 8\nfolder = "{FOLDER}"', False),
        ("pr = 7", 'folder = "records/*/2026-05-*"', False),
        ("voice/shout", "voice/mumble", False),
        ("pr = 7", 'pr = 7\nfingerprint = "0123456789abcdef"', False),
    ],
)
def test_a_waiver_covers_its_scope_only(
    load: Callable[[str], Waivers], judge: Callable[..., Report], old: str, new: str, covered: bool
) -> None:
    report = judge("SHOUT\n", load(GOOD.replace(old, new)))
    assert (report.submissions[0].verdict is Verdict.CLEAN) is covered
    assert bool(report.unused_waivers) is not covered


def test_a_fingerprint_picks_one_finding(load: Callable[[str], Waivers], judge: Callable[..., Report]) -> None:
    first, second = judge("SHOUT 1\nSHOUT 2\n").submissions[0].findings
    report = judge("SHOUT 1\nSHOUT 2\n", load(GOOD + f'fingerprint = "{first.fingerprint}"\n'))
    assert [finding.fingerprint for finding in report.submissions[0].findings] == [second.fingerprint]


def test_the_last_day_counts_and_the_next_does_not(
    load: Callable[[str], Waivers], judge: Callable[..., Report]
) -> None:
    expired = load(GOOD.replace("2026-05-01", "2026-04-30"))
    assert load(GOOD).expired == ()
    report = judge("SHOUT\n", expired)
    assert report.submissions[0].verdict is Verdict.ILLEGAL
    assert [waiver.rule for waiver in report.expired_waivers] == ["voice/shout"]


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("voice/shout", "voice/song", "waiver 1: there is no rule 'voice/song'"),
        ('author = "ada"\n', "", "waiver 1: needs author"),
        ('reason = "a quotation"', 'reason = ""', "waiver 1: needs reason"),
        ("pr = 7\n", "", "needs a scope"),
        ("pr = 7", "pr = true", "pr must be a whole number"),
        ("pr = 7", 'pull = "7"', "unknown key 'pull'"),
        ("2026-05-01", '"2026-05-01"', "expires must be a date"),
        ("2026-05-01", "2026-05-01T00:00:00", "expires must be a date"),
        ("[[waiver]]", "[waiver]", "holds \\[\\[waiver\\]\\] tables"),
        ("[[waiver]]", "[[waivers]]", "holds \\[\\[waiver\\]\\] tables"),
        ("pr = 7", "pr = ", "not valid TOML"),
    ],
)
def test_a_malformed_file_is_refused_with_its_entry(
    load: Callable[[str], Waivers], old: str, new: str, complaint: str
) -> None:
    assert old in GOOD
    with pytest.raises(WaiverError, match=complaint) as caught:
        load(GOOD.replace(old, new, 1))
    assert "waivers.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match="No such file"):
        waivers.load(tmp_path / "waivers.toml", RULES, TODAY)
    (tmp_path / "waivers.toml").write_bytes(b"\xff")
    with pytest.raises(WaiverError, match="not valid TOML"):
        waivers.load(tmp_path / "waivers.toml", RULES, TODAY)
