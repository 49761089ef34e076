"""The GitHub source against a small server that answers as the REST API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pgaudit.collect import collect, github
from pgaudit.errors import TargetError
from pgaudit.submission import UnreadableFile
from tests.collect.repository import TRACK

PULL = "/repos/openai/parameter-golf/pulls/7"
GIT = "/repos/openai/parameter-golf/git"


class Server(ThreadingHTTPServer):
    """Answers by path: a JSON value, bytes, or ``(status, headers)``; remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {}
        self.tokens: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, *changes: dict[str, str], tree: list[dict[str, Any]]) -> None:
        """Pull request 7, its files in pages of two."""
        self.answers |= {
            PULL: {"head": {"sha": "abc"}, "changed_files": len(changes)},
            f"{GIT}/commits/abc": {"tree": {"sha": "def"}, "committer": {"date": "2026-04-02T23:30:00-07:00"}},
            f"{GIT}/trees/def?recursive=1": {"tree": tree, "truncated": False},
        }
        for page in range(len(changes) // 2 + 1):
            self.answers[f"{PULL}/files?per_page=2&page={page + 1}"] = list(changes[2 * page : 2 * page + 2])


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers["Authorization"])
        answer = self.server.answers.get(self.path, (404, {}))
        status, headers = answer if isinstance(answer, tuple) else (200, {})
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(github, "PAGE", 2)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("GITHUB_API_URL", server.address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


def blob(path: str, sha: str, size: int = 3, mode: str = "100644") -> dict[str, Any]:
    return {"path": path, "mode": mode, "type": "blob", "sha": sha, "size": size}


def change(path: str, status: str = "added", **more: str) -> dict[str, str]:
    return {"filename": path, "status": status, **more}


SCRIPT = f"{TRACK}/a/train_gpt.py"


@pytest.mark.parametrize(
    "target",
    [
        "openai/parameter-golf#7",
        "https://github.com/openai/parameter-golf/pull/7",
        "github.com/openai/parameter-golf/pull/7/files#diff-1",
    ],
)
def test_a_pull_request_in_several_pages(server: Server, target: str) -> None:
    module = {"path": f"{TRACK}/a/module", "mode": "160000", "type": "commit", "sha": "5"}
    server.publish(
        change(SCRIPT),
        change(f"{TRACK}/a/new.md", "renamed", previous_filename="old.md"),
        change("gone.md", "removed"),
        change("README.md", "modified"),
        tree=[
            {"path": TRACK, "mode": "040000", "type": "tree", "sha": "0"},
            blob(SCRIPT, "1"),
            blob(f"{TRACK}/a/new.md", "2"),
            blob(f"{TRACK}/a/before.md", "3"),
            blob(f"{TRACK}/a/link", "4", mode="120000"),
            module,
            blob("README.md", "6"),
        ],
    )
    server.answers[f"{GIT}/blobs/1"] = b"x=1"
    collected = collect(target)
    [submission] = collected.submissions
    assert submission.folder == f"{TRACK}/a"
    assert {name: (file.changed, file.problem) for name, file in submission.files.items()} == {
        "before.md": (False, ""),
        "link": (False, "a symbolic link"),
        "module": (False, "a submodule"),
        "new.md": (True, ""),
        "train_gpt.py": (True, ""),
    }
    assert (submission.files["train_gpt.py"].size, submission.files["train_gpt.py"].data) == (3, b"x=1")
    assert (collected.outside, collected.deleted) == (("README.md",), ("gone.md", "old.md"))
    origin = collected.origin
    assert (origin.source, origin.pr, origin.head) == ("openai/parameter-golf#7", 7, "abc")
    assert origin.date == date(2026, 4, 3)
    with pytest.raises(UnreadableFile, match=r"new\.md: GitHub does not hold"):
        _ = submission.files["new.md"].data


def test_the_token_goes_to_the_api_and_to_nobody_else(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "secret")
    server.publish(change(SCRIPT), tree=[blob(SCRIPT, "1")])
    server.answers[f"{GIT}/blobs/1"] = (302, {"Location": f"{server.address}/elsewhere"})
    server.answers["/elsewhere"] = b"x=1"
    assert collect("openai/parameter-golf#7").submissions[0].files["train_gpt.py"].data == b"x=1"
    assert server.tokens == ["Bearer secret"] * 5 + [None]


@pytest.mark.parametrize(
    "answer, message",
    [
        ((404, {}), "GitHub does not hold openai/parameter-golf#7, or does not show it"),
        ((401, {}), "GitHub does not accept the token"),
        ((403, {}), "GitHub answered 403 Forbidden"),
        (
            (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1775000000"}),
            "rate limit is used up until 23:33 UTC",
        ),
        ((429, {}), "rate limit is used up"),
        (b"<html>", "did not answer .* as the API of GitHub does"),
        ({"head": None}, "did not answer .* as the API of GitHub does"),
    ],
)
def test_what_the_server_refuses(server: Server, answer: object, message: str) -> None:
    server.answers[PULL] = answer
    with pytest.raises(TargetError, match=message):
        collect("openai/parameter-golf#7")


def test_a_pull_request_larger_than_the_api_lists(server: Server) -> None:
    server.publish(change(SCRIPT), tree=[blob(SCRIPT, "1")])
    server.answers[PULL]["changed_files"] = 3001
    with pytest.raises(TargetError, match="is larger than the API of GitHub lists") as caught:
        collect("openai/parameter-golf#7")
    assert "--repo DIR --pr N" in caught.value.hint


@pytest.mark.parametrize("path", ["../a.py", "/etc/passwd", "a/./b"])
def test_a_path_that_no_folder_can_hold(server: Server, path: str) -> None:
    server.publish(change(path), tree=[blob(path, "1")])
    with pytest.raises(TargetError, match="which git refuses"):
        collect("openai/parameter-golf#7")


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(TargetError, match="cannot be reached"):
        collect("openai/parameter-golf#7")


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "file:///etc")
    with pytest.raises(TargetError, match="not a web address"):
        collect("openai/parameter-golf#7")
