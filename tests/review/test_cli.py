"""The command, as people and jobs run it, against the server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.review.conftest import TOKEN
from tests.review.server import REPOSITORY, Fault, Server, is_question
from tests.review.support import finding, report, write
from tests.support import EXAMPLE, Run, run_pgaudit

POST = ("review", "post")
WHERE = ("--repo", REPOSITORY, "--pr", "7")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write(report(finding(3), finding(300)), tmp_path / "report.json")


def hidden(run: Run) -> Run:
    """The run; the token is in nothing that it wrote."""
    assert TOKEN not in run.out + run.err
    return run


def test_post(server: Server, made: Path) -> None:
    done = hidden(run_pgaudit(*POST, made, *WHERE))
    (review,) = server.summaries
    assert (done.status, done.out, done.err) == (0, "", f"{review['html_url']}\n")
    assert len(server.comments) == 1


def test_a_dry_run_prints_what_would_be_sent(server: Server, made: Path) -> None:
    shown = hidden(run_pgaudit(*POST, made, *WHERE, "--dry-run"))
    assert (shown.status, shown.err) == (0, "")
    assert server.writes == []
    run_pgaudit(*POST, made, *WHERE)
    sent = [each.body for each in server.requests if each.method != "GET" and not is_question(each)]
    printed = [json.loads(part.partition("\n")[2]) for part in shown.out.strip().split("\n\nPOST ")]
    assert printed[:2] == sent[:2]
    assert printed[2] == {k: v for k, v in sent[2].items() if k != "target_url"}  # type: ignore[attr-defined]
    assert len(sent) == len(printed) == 3
    assert hidden(run_pgaudit(*POST, made, *WHERE, "--dry-run")).out == ""


def test_a_dry_run_needs_no_token(server: Server, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.setattr("tests.review.server.TOKENS", {"": "nobody"})
    shown = run_pgaudit(*POST, made, *WHERE, "--dry-run")
    assert shown.status == 0
    assert "cannot be seen" in shown.err
    assert "## pgaudit: illegal" in shown.out
    assert server.writes == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--repo", REPOSITORY, "--pr", "8"), "is about pull request 7, not about pull request 8"),
        (("--repo", "openai/other", "--pr", "7"), "is about openai/parameter-golf, not about openai/other"),
        (("--repo", "../x", "--pr", "7"), "is no repository on GitHub"),
    ],
)
def test_the_wrong_pull_request(server: Server, made: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run_pgaudit(*POST, made, *arguments)
    assert done.status == 2
    assert message in done.err
    assert server.requests == []


def test_a_stale_report(server: Server, made: Path) -> None:
    server.push("b" * 40)
    done = run_pgaudit(*POST, made, *WHERE)
    assert done.status == 2
    assert "scan again" in done.err


def test_a_token_that_github_does_not_know(server: Server, made: Path) -> None:
    done = run_pgaudit(*POST, made, *WHERE, GITHUB_TOKEN="secret-of-nobody")
    assert done.status == 4
    assert "GitHub answered 401" in done.err
    assert "secret-of-nobody" not in done.out + done.err
    done = run_pgaudit(*POST, made, *WHERE, GITHUB_TOKEN="secret-of-nobody\n", PGAUDIT_DEBUG="1")
    assert done.status == 4
    assert "secret-of-nobody" not in done.out + done.err


def test_scan_posts_only_what_is_on_github(tmp_path: Path) -> None:
    done = run_pgaudit("scan", "tests/example_submission", "--post")
    assert (done.status, done.out) == (2, "")
    assert "--post needs a pull request on GitHub" in done.err


def show_example(server: Server) -> None:
    server.files.clear()
    for file in sorted(path for path in EXAMPLE.rglob("*") if path.is_file()):
        path = file.relative_to(EXAMPLE).as_posix()
        server.content[path] = file.read_bytes()
        server.add_file(path, len(server.content[path].splitlines()))


def test_a_refused_post_hides_no_finding(server: Server) -> None:
    show_example(server)
    server.faults = [Fault("POST", "reviews", 403)]
    done = hidden(run_pgaudit("scan", f"{REPOSITORY}#7", "--post"))
    assert (done.status, "illegal" in done.out) == (10, True)
    assert "pgaudit: GitHub answered 403" in done.err
    server.faults = [Fault("POST", "reviews", 403)]
    assert run_pgaudit("scan", f"{REPOSITORY}#7", "--post", "--fail-on", "never").status == 4


def test_scan_and_post_in_one(server: Server) -> None:
    show_example(server)
    done = hidden(run_pgaudit("scan", f"{REPOSITORY}#7", "--post", "--format", "json"))
    assert done.status == 10
    assert json.loads(done.out)["target"]["repository"] == REPOSITORY
    (review,) = server.summaries
    assert done.err == f"{review['html_url']}\n"
    (comment,) = server.comments.values()
    assert (comment["path"].rpartition("/")[2], comment["line"]) == ("train_gpt.py", 115)
    assert server.statuses[-1]["state"] == "failure"
