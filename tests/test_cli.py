"""The commands end to end, in processes of their own: folders, clones, standard input, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pgaudit
from pgaudit import policy, rulebook
from tests.support import CHECKOUT, EXAMPLE, FOLDER, run_pgaudit


def test_the_example_submission_is_illegal_and_the_report_says_why() -> None:
    done = run_pgaudit("scan", EXAMPLE, "--explain")
    assert done.status == 10
    assert "illegal" in done.out
    assert "ngram/" in done.out
    assert "train_gpt.py:" in done.out
    assert "ruling:" in done.out


def test_the_readme_shows_the_report_as_it_is() -> None:
    shown = (
        (CHECKOUT / "README.md").read_text("utf-8").partition("<!-- example -->\n```text\n")[2].partition("```\n")[0]
    )
    report, _, made_by = run_pgaudit("scan", EXAMPLE).out.rpartition("pgaudit ")
    assert shown == report, "paste the output of `pgaudit scan tests/example_submission`, without its last line"
    assert made_by.startswith(pgaudit.__version__)


def test_a_pull_request_of_a_clone(clone: Path) -> None:
    done = run_pgaudit("scan", "--repo", clone, "--pr", "5", "--format", "json")
    report = json.loads(done.out)
    assert [(entry["pr"], entry["folder"], entry["verdict"]) for entry in report["submissions"]] == [
        (5, FOLDER, "clean"),
        (5, FOLDER.replace("Example", "Other"), "clean"),
    ]
    assert report["submissions"][0]["level"] == "consistent"
    assert report["target"]["date"] == "2026-04-01"


def test_a_ref_of_a_clone(clone: Path) -> None:
    done = run_pgaudit("scan", "--repo", clone, "--rev", "refs/pull/2/head", "--format", "json")
    (entry,) = json.loads(done.out)["submissions"]
    assert (entry["folder"], entry["verdict"]) == (FOLDER, "defect")


def test_a_script_on_standard_input() -> None:
    done = run_pgaudit("scan", "-", "--format", "json", stdin="print('hello')\n")
    assert json.loads(done.out)["submissions"][0]["folder"] == "."


def test_a_pull_request_without_a_submission_is_nothing_to_audit(clone: Path) -> None:
    done = run_pgaudit("scan", "--repo", clone, "--pr", "4")
    assert done.status == 3
    assert done.err.startswith("pgaudit: ")


@pytest.mark.parametrize("style", ["terminal", "json", "markdown"])
def test_the_same_input_gives_the_same_bytes(style: str, tmp_path: Path) -> None:
    first = run_pgaudit("scan", EXAMPLE, "--format", style, PYTHONHASHSEED="1", COLUMNS="200")
    run_pgaudit("scan", EXAMPLE, "--format", style, "--output", tmp_path / "report", PYTHONHASHSEED="2")
    assert (tmp_path / "report").read_text("utf-8") == first.out


def test_a_terminal_without_utf8_gets_the_report_all_the_same() -> None:
    done = run_pgaudit("scan", EXAMPLE, PYTHONIOENCODING="ascii")
    assert "Traceback" not in done.err
    assert "level" in done.out
    assert done.out.isascii()


def test_an_output_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = run_pgaudit("scan", EXAMPLE, "--output", tmp_path / "none/report.txt")
    assert done.status == 2
    assert "none/report.txt: cannot write" in done.err


def test_a_waiver_file_is_read_as_of_today(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(
        '[[waiver]]\nrule = "files/missing"\nfolder = "*"\nreason = "r"\nauthor = "a"\nexpires = 2000-01-01\n'
    )
    done = run_pgaudit("scan", EXAMPLE, "--waivers", tmp_path / "w.toml", "--format", "json")
    assert [waiver["rule"] for waiver in json.loads(done.out)["waivers"]["expired"]] == ["files/missing"]


def test_an_edition_can_be_asked_for() -> None:
    done = run_pgaudit("scan", EXAMPLE, "--format", "json", "--edition", "2020-01-01")
    assert json.loads(done.out)["tool"]["edition"] == policy.load().editions[0].since.isoformat()


def test_the_version_names_everything_that_decides() -> None:
    done = run_pgaudit("--version")
    latest = policy.load().edition_at(None).since
    assert done.out == f"pgaudit {pgaudit.__version__}, rulebook {rulebook.load().digest}, policy edition {latest}\n"


def test_help_and_the_rule_list_import_neither_parser_nor_rich() -> None:
    for arguments in (["--help"], ["rules", "list"]):
        done = run_pgaudit(*arguments, PYTHONPROFILEIMPORTTIME="1")
        assert done.status == 0
        imported = {row.rpartition("|")[2].strip() for row in done.err.splitlines()}
        assert "typer" in imported
        assert not imported & {"libcst", "rich", "torch", "markdown_it", "brotli"}


def test_a_rule_is_listed_and_explained() -> None:
    listed = run_pgaudit("rules", "list").out.splitlines()
    assert [row.split()[0] for row in listed] == [entry.rule.id for entry in rulebook.load()]
    page = run_pgaudit("rules", "explain", "artifact/oversize").out
    for part in ("## What it flags", "## How to fix", "## Rulings", "## Examples", "oversize.md"):
        assert part in page
