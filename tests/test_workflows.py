"""The action and the workflows that users copy: their shell steps, run by bash with hostile input."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import CHECKOUT, EXAMPLE, Run

ACTION = CHECKOUT / "action.yml"
POST = CHECKOUT / ".github/examples/pgaudit-post.yml"
WORKFLOWS = [*sorted(CHECKOUT.glob(".github/*/*.yml")), ACTION]
HOSTILE = ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "--help", "-o=pwned"]


def steps(path: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(path.read_text("utf-8"))
    found = [document["runs"], *document.get("jobs", {}).values()] if "runs" in document else document["jobs"].values()
    return [step for job in found for step in job["steps"]]


def script(path: Path, name: str) -> str:
    (step,) = (step for step in steps(path) if step["name"] == name)
    text: str = step["run"]
    return text


@pytest.fixture
def bash(tmp_path: Path) -> Callable[..., Run]:
    """Runs a step the way a runner does: `bash -eo pipefail`, with its files and a pgaudit that was installed."""
    (tmp_path / "pgaudit/bin").mkdir(parents=True)
    for name, command in (("pgaudit", f"{sys.executable} -m pgaudit"), ("python", sys.executable)):
        executable = tmp_path / "pgaudit/bin" / name
        executable.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec {command} "$@"\n')
        executable.chmod(0o755)
    (tmp_path / "work").mkdir()

    def run(text: str, **environment: str) -> Run:
        files = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "summary.md"}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
            cwd=tmp_path / "work",
            env={**os.environ, "RUNNER_TEMP": str(tmp_path), **{k: str(v) for k, v in files.items()}, **environment},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert not list(tmp_path.rglob("pwned"))
        return Run(done.returncode, done.stdout, done.stderr)

    return run


def audit(bash: Callable[..., Run], **inputs: str) -> Run:
    defaults = {"TARGET": str(EXAMPLE), "FORMAT": "github", "FAIL_ON": "error", "REPORT": "pgaudit.json"}
    unset = dict.fromkeys(("BASELINE", "WAIVERS", "SARIF", "PULL_REQUEST"), "")
    return bash(script(ACTION, "Audit"), **unset | defaults | inputs)


def test_the_action_audits_and_writes_its_reports(bash: Callable[..., Run], tmp_path: Path) -> None:
    done = audit(bash, SARIF="results.sarif")
    assert done.status == 10
    assert done.out.startswith("::error file=records/")
    assert (tmp_path / "output").read_text() == "status=10\n"
    assert (tmp_path / "summary.md").read_text("utf-8").startswith("| verdict |")
    assert json.loads((tmp_path / "work/pgaudit.json").read_text("utf-8"))["submissions"][0]["verdict"] == "illegal"
    assert json.loads((tmp_path / "work/results.sarif").read_text("utf-8"))["version"] == "2.1.0"


def test_nothing_to_audit_fails_no_job(bash: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = audit(bash, TARGET=str(tmp_path / "empty"))
    assert (done.status, (tmp_path / "output").read_text()) == (0, "status=3\n")
    assert not (tmp_path / "work/pgaudit.json").exists()


def test_the_action_takes_its_options(bash: Callable[..., Run], tmp_path: Path) -> None:
    assert audit(bash, FAIL_ON="never").status == 0
    assert audit(bash, BASELINE="pgaudit.json", REPORT="second.json").status == 0


def test_what_a_submission_says_is_no_command_to_the_runner(bash: Callable[..., Run]) -> None:
    lines = audit(bash, FORMAT="terminal").out.splitlines()
    assert (match := re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0]))
    assert lines[-1] == f"::{match[1]}::"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["TARGET", "FORMAT", "FAIL_ON", "BASELINE", "WAIVERS", "REPORT", "SARIF"])
def test_inputs_are_text_and_nothing_else(bash: Callable[..., Run], name: str, text: str) -> None:
    done = audit(bash, **{name: text})
    assert done.status in ({10} if name in {"REPORT", "SARIF"} else {2})
    assert "Usage" not in done.out


def test_the_pull_request_is_the_target_where_none_is_named(bash: Callable[..., Run]) -> None:
    event = {"PULL_REQUEST": "7", "GITHUB_REPOSITORY": "ada/golf", "GITHUB_API_URL": "nowhere"}
    done = audit(bash, TARGET="", **event)
    assert (done.status, "GITHUB_API_URL is not a web address" in done.err) == (2, True)


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize(
    "head, files, reports, status, output, said",
    [
        ("a" * 40, ["records/x/train_gpt.py"], 1, 0, "number=7\n", ""),
        ("b" * 40, ["records/x/train_gpt.py"], 1, 0, "", "no open pull request"),
        ("a" * 40, ["records/x/train_gpt.py"], 0, 0, "", "left no report"),
        ("a" * 40, ["records/x/train_gpt.py", ".github/workflows/pgaudit.yml"], 1, 1, "", "changes .github"),
        ("a" * 40, [f"records/x/{n}" for n in range(3000)], 1, 1, "", "more files than GitHub lists"),
    ],
    ids=["found", "moved on", "no report", "changes workflows", "too large"],
)
def test_the_pull_request_of_a_report_is_found_without_asking_the_report(
    bash: Callable[..., Run],
    tmp_path: Path,
    head: str,
    files: list[str],
    reports: int,
    status: int,
    output: str,
    said: str,
) -> None:
    (tmp_path / "pulls.json").write_text(json.dumps([{"number": 7, "head": {"sha": head}}]))
    (tmp_path / "files").write_text("".join(f"{file}\n" for file in files))
    gh = tmp_path / "pgaudit/bin/gh"
    answers = f'*files*) cat "{tmp_path}/files";; *artifacts*) echo {reports};; *) cat "{tmp_path}/pulls.json"'
    gh.write_text(f'#!/bin/sh\ncase "$*" in {answers};; esac\n')
    gh.chmod(0o755)
    event = {
        "HEAD_OWNER": "ada",
        "HEAD_BRANCH": "x",
        "HEAD_SHA": "a" * 40,
        "BASE": "main",
        "GITHUB_REPOSITORY": "a/b",
        "RUN": "9",
    }
    done = bash(script(POST, "Find the pull request"), PATH=f"{gh.parent}:{os.environ['PATH']}", **event)
    written = tmp_path / "output"
    assert (done.status, written.read_text() if written.exists() else "") == (status, output)
    assert said in done.out


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize("head, status", [("a" * 40, 0), ("b" * 40, 1)])
def test_a_report_on_another_commit_is_not_posted(
    bash: Callable[..., Run], tmp_path: Path, head: str, status: int
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report/pgaudit.json").write_text(json.dumps({"target": {"head": head}}))
    assert bash(script(POST, "Check the commit"), HEAD_SHA="a" * 40).status == status


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_expression_is_part_of_a_script_and_every_action_is_pinned(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")
    for action, comment in re.findall(r"^ +uses: (\S+)(.*)$", path.read_text("utf-8"), re.MULTILINE):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_the_job_that_may_write_checks_out_nothing_but_pgaudit() -> None:
    checkouts = [step for step in steps(POST) if "actions/checkout" in step.get("uses", "")]
    assert [step["with"]["repository"] for step in checkouts] == ["pgaudit/pgaudit"]
    assert yaml.safe_load(POST.read_text("utf-8"))["permissions"] == {}
