"""The exit status of every command and format: 0 clean, 1 internal, 2 usage, 3 nothing to audit, 4 incomplete, 10 findings."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgaudit import __main__, rulebook
from pgaudit.finding import Confidence, Finding, Location, Severity
from pgaudit.report import FailOn, Report, reaches
from tests.support import run_pgaudit

FORMATS = ("terminal", "json", "markdown")
UNOPENABLE = "import os, zlib\nexec(zlib.decompress(bytes.fromhex(os.environ['PAYLOAD'])))\n"


@pytest.mark.parametrize("style", FORMATS)
def test_scan(clean_folder: Path, tmp_path: Path, style: str) -> None:
    (tmp_path / "empty").mkdir()
    assert run_pgaudit("scan", clean_folder, "--format", style).status == 0
    assert run_pgaudit("scan", tmp_path / "nowhere", "--format", style).status == 2
    assert run_pgaudit("scan", tmp_path / "empty", "--format", style).status == 3
    (clean_folder / "train_gpt.py").write_text(UNOPENABLE)
    assert run_pgaudit("scan", clean_folder, "--format", style).status == 4
    (clean_folder / "submission.json").write_text("{")
    assert run_pgaudit("scan", clean_folder, "--format", style).status == 10
    assert run_pgaudit("scan", clean_folder, "--format", style, "--fail-on", "never").status == 4


def test_sweep(clone: Path) -> None:
    def status(prs: str, *options: str) -> int:
        return run_pgaudit("sweep", "--repo", clone, "--prs", prs, "--jobs", "1", *options).status

    assert status("1") == 0
    assert status("one") == 2
    assert status("900-1000") == 3
    assert status("1,4") == 4
    assert status("2") == 0
    assert status("2", "--fail-on", "error") == 10
    assert status("1,2,4", "--fail-on", "error") == 10


def test_rules() -> None:
    assert run_pgaudit("rules", "list").status == 0
    assert run_pgaudit("rules", "explain", "voice/song").status == 2
    assert run_pgaudit("rules", "test", "voice/song").status == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("scan", "--format", "pdf"),
        ("scan", "--fail-on", "hint"),
        ("scan", "--edition", "today"),
        ("scan", "--pr", "7"),
        ("scan", ".", "--repo", "."),
        ("scan", "--waivers", "no-such-file.toml"),
        ("sweep",),
        ("unknown",),
    ],
)
def test_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run_pgaudit(*arguments, cwd=tmp_path)
    assert done.status == 2
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.fixture
def main(rules: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """The command in this process, with the small rules of the tests."""
    monkeypatch.setattr(rulebook, "rules_directory", lambda: rules)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["pgaudit", *arguments])
        with pytest.raises(SystemExit) as caught:
            __main__.main()
        return int(caught.value.code or 0)

    yield run
    gc.enable()


@pytest.mark.parametrize(
    "word, fail_on, status",
    [
        ("quiet", "note", 0),
        ("MUMBLE", "error", 0),
        ("MUMBLE", "warning", 10),
        ("HUM", "warning", 0),
        ("HUM", "note", 10),
        ("SHOUT", "error", 10),
        ("SHOUT", "never", 0),
        ("SHOUT SILENCE", "never", 4),
        ("SHOUT CRASH", "error", 10),
        ("MUMBLE CRASH", "error", 4),
        ("CRASH", "never", 4),
    ],
)
def test_findings_win_over_gaps_and_gaps_over_clean(
    main: Callable[..., int], tmp_path: Path, word: str, fail_on: str, status: int
) -> None:
    (tmp_path / "train_gpt.py").write_text(f"print('{word}')\n")
    assert main("scan", str(tmp_path / "train_gpt.py"), "--fail-on", fail_on) == status


def test_a_failing_example_is_an_internal_error(
    main: Callable[..., int], rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("rules", "test", "voice/shout") == 0
    (rules / "voice/shout.md").write_text('## Legal: loud\n\n```python path=train_gpt.py\nprint("SHOUT")\n```\n')
    assert main("rules", "test", "voice/shout") == 1
    assert "voice/shout.md:1" in capsys.readouterr().out


def test_an_example_file_without_sections_is_nothing_to_test(main: Callable[..., int], rules: Path) -> None:
    (rules / "voice/shout.md").write_text("# nothing here\n")
    assert main("rules", "test", "voice/shout") == 3


def test_an_internal_error_is_one_line(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> rulebook.Rulebook:
        raise RuntimeError("no\x1b[2J way")

    monkeypatch.setattr(rulebook, "load", fail)
    assert main("rules", "list") == 1
    shown = capsys.readouterr().err
    assert shown.startswith("pgaudit: internal error: RuntimeError: no way\n  hint: please report")
    assert shown.count("\n") == 2
    monkeypatch.setenv("PGAUDIT_DEBUG", "1")
    assert main("rules", "list") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_broken_rulebook_is_an_internal_error(main: Callable[..., int], rules: Path) -> None:
    (rules / "voice/shout.md").unlink()
    assert main("rules", "list") == 1


@pytest.mark.parametrize("fail_on", list(FailOn))
@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("confidence", list(Confidence))
def test_an_error_of_low_confidence_asks_for_a_person_like_a_warning(
    fail_on: FailOn, severity: Severity, confidence: Confidence
) -> None:
    finding = Finding("a/b", "a", "illegal", severity, confidence, "", Location("a"))
    as_warning = severity is Severity.WARNING or (severity is Severity.ERROR and confidence is Confidence.LOW)
    expected = {
        FailOn.NEVER: False,
        FailOn.NOTE: True,
        FailOn.WARNING: severity is not Severity.NOTE,
        FailOn.ERROR: severity is Severity.ERROR and not as_warning,
    }
    assert reaches(finding, fail_on) is expected[fail_on]


def test_dormant_code_asks_for_a_person_like_a_warning() -> None:
    finding = Finding(
        "a/b", "a", "illegal", Severity.NOTE, Confidence.HIGH, "", Location("a"), dormant="TTT_ENABLED=0, README.md:12"
    )
    assert reaches(finding, FailOn.WARNING)
    assert not reaches(finding, FailOn.ERROR)


def test_a_report_without_submissions_is_nothing_to_audit(judge: Callable[..., Report]) -> None:
    report = judge("quiet")
    assert Report("0", "0", "0", report.origin, (), {}).exit_code(FailOn.NEVER) == 3
