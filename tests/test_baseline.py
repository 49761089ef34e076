"""What an earlier report has does not fail a run, and everything else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pgaudit import baseline
from pgaudit.errors import ExitCode, ReportError
from pgaudit.output import ReportFormat, render
from pgaudit.report import FailOn, Report
from tests.support import EXAMPLE, FOLDER, run_pgaudit


@pytest.fixture
def earlier(tmp_path: Path, judge: Callable[..., Report]) -> Callable[[str], baseline.Baseline]:
    """The baseline that the audit of a script makes."""

    def load(script: str) -> baseline.Baseline:
        path = tmp_path / "earlier.json"
        path.write_text(render(judge(script), ReportFormat.JSON), "utf-8")
        return baseline.load(path)

    return load


@pytest.mark.parametrize(
    "script, known",
    [
        ("print('SHOUT')\n", [True]),
        ("\n\nprint('SHOUT')\n", [True]),
        ("print('SHOUT!')\n", [False]),
        ("print('SHOUT')\nprint('SHOUT')\n", [True, False]),
    ],
    ids=["the same", "moved", "another line", "a second one"],
)
def test_known_is_what_the_earlier_report_has(
    earlier: Callable[[str], baseline.Baseline], judge: Callable[..., Report], script: str, known: list[bool]
) -> None:
    report = earlier("print('SHOUT')\n").mark(judge(script))
    assert [finding.known for finding in report.findings] == known
    assert report.exit_code(FailOn.NOTE) == (ExitCode.CLEAN if all(known) else ExitCode.FINDINGS)
    assert report.submissions[0].verdict == judge(script).submissions[0].verdict, "known is not legal"


def test_what_grew_worse_is_new(
    earlier: Callable[[str], baseline.Baseline], judge: Callable[..., Report], tmp_path: Path
) -> None:
    path = tmp_path / "weaker.json"
    document = json.loads(render(judge("print('SHOUT')\n"), ReportFormat.JSON))
    document["submissions"][0]["findings"][0] |= {"severity": "warning", "decides": False}
    path.write_text(json.dumps(document), "utf-8")
    (finding,) = baseline.load(path).mark(judge("print('SHOUT')\n")).findings
    assert finding.known is False
    (weaker,) = earlier("print('SHOUT')\n").mark(judge("print('SHOUT')\n")).findings
    assert weaker.known is True


def test_another_folder_knows_nothing(
    earlier: Callable[[str], baseline.Baseline], judge: Callable[..., Report]
) -> None:
    known = {(folder, mark): how for (folder, mark), how in earlier("print('SHOUT')\n").findings.items()}
    assert {folder for folder, _ in known} == {FOLDER}
    moved = baseline.Baseline({(f"{folder}_copy", mark): how for (folder, mark), how in known.items()})
    assert [finding.known for finding in moved.mark(judge("print('SHOUT')\n")).findings] == [False]


def test_a_run_with_its_own_report_as_baseline_passes(tmp_path: Path) -> None:
    assert run_pgaudit("scan", EXAMPLE, "--format", "json", "--output", tmp_path / "a.json").status == 10
    done = run_pgaudit("scan", EXAMPLE, "--baseline", tmp_path / "a.json", "--also", f"sarif={tmp_path / 'a.sarif'}")
    assert (done.status, "1 known finding" in done.out) == (0, True)
    (result,) = json.loads((tmp_path / "a.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert result["baselineState"] == "unchanged"


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a report: the whole document"),
        ('{"schema_version": "1.0"}', "not a report: the whole document"),
        ("\udcff", "not JSON"),
    ],
    ids=["empty", "deep", "a list", "a stub", "no text"],
)
def test_what_is_no_report_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ReportError, match=complaint):
        baseline.load(path)


def test_a_report_of_an_older_version_is_refused_by_name(tmp_path: Path, judge: Callable[..., Report]) -> None:
    document = json.loads(render(judge("print('SHOUT')\n"), ReportFormat.JSON)) | {"schema_version": "1.0"}
    (tmp_path / "old.json").write_text(json.dumps(document))
    with pytest.raises(ReportError, match=r"old\.json: not a report: schema_version"):
        baseline.load(tmp_path / "old.json")


def test_a_baseline_that_is_missing_ends_with_usage(tmp_path: Path) -> None:
    done = run_pgaudit("scan", EXAMPLE, "--baseline", tmp_path / "none.json")
    assert done.status == 2
    assert done.err == f"pgaudit: {tmp_path}/none.json: No such file or directory\n"


@pytest.mark.parametrize("also", ["sarif", "pdf=x", "=x", "json="])
def test_a_copy_in_no_format_ends_with_usage(also: str) -> None:
    done = run_pgaudit("scan", EXAMPLE, "--also", also)
    assert done.status == 2
    assert "not FORMAT=FILE" in done.err
