"""The client against what can go wrong between it and GitHub."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import httpx
import pytest
import stamina

from pgaudit.errors import PostError
from pgaudit.review import github
from pgaudit.review.github import GitHub, Refused, Uncertain
from tests.review.conftest import TOKEN
from tests.review.server import REPOSITORY, Fault, Server

NOW = 1_000_000.0


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have waited; its clock stands at ``NOW``."""
    waited: list[float] = []
    clock = SimpleNamespace(time=lambda: NOW, monotonic=lambda: NOW, sleep=waited.append)
    monkeypatch.setattr(github, "time", clock)
    return waited


def asked(server: Server) -> int:
    return len(server.requests)


@pytest.mark.parametrize(
    "fault, message",
    [
        (Fault("GET", ".", 401), "GitHub answered 401 to GET pulls/7: a fault"),
        (Fault("GET", ".", 403), "GitHub answered 403"),
        (Fault("GET", ".", 404), "GitHub answered 404"),
        (Fault("GET", ".", 422, body=b'{"message": "no", "errors": ["why"]}'), r'422 to GET pulls/7: no \["why"\]'),
        (Fault("GET", ".", 301, {"Location": "https://elsewhere.example/"}), "is called otherwise now"),
        (Fault("GET", ".", 403, body=b"<html>"), "GitHub answered 403 to GET pulls/7: Forbidden"),
    ],
)
def test_a_refusal_is_not_asked_again(server: Server, api: GitHub, fault: Fault, message: str) -> None:
    fault.times = 9
    server.faults = [fault]
    with pytest.raises(Refused, match=message) as caught:
        api.pull()
    assert caught.value.status == fault.status
    assert asked(server) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", ".", 500),
        Fault("GET", ".", 502),
        Fault("GET", ".", 503, body=b"<html>"),
        Fault("GET", ".", 200, body=b'{"head": ', cut=True),
        Fault("GET", ".", 200, body=b"<html>"),
        Fault("GET", ".", 0),
        Fault("GET", ".", 429),
        Fault("GET", ".", 403, {"Retry-After": "1"}),
        Fault("GET", ".", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}),
        Fault("GET", ".", 403, body=b'{"message": "You have exceeded a secondary rate limit"}'),
        Fault("GET", ".", 0, sleep=1.5),
    ],
    ids=lambda fault: f"{fault.status}{'-cut' if fault.cut else ''}{'-slow' if fault.sleep else ''}",
)
def test_what_passes_is_asked_again(server: Server, monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    if fault.sleep:
        monkeypatch.setattr(github, "TIMEOUT", httpx.Timeout(fault.sleep / 2))
    fault.times = 2
    server.faults = [fault]
    with GitHub(REPOSITORY, 7) as api:
        assert api.pull()["head"]["sha"] == server.head
    assert asked(server) >= 3  # more where the machine is slower than the timeout


def test_what_stays_is_given_up(server: Server, api: GitHub) -> None:
    server.faults = [Fault("GET", ".", 502, times=99)]
    with pytest.raises(PostError, match=r"did not answer as the API of GitHub does: 502 for GET pulls/7"):
        api.pull()
    assert asked(server) == github.ATTEMPTS


@pytest.mark.parametrize("fault", [Fault("POST", ".", 502), Fault("POST", ".", 0), Fault("POST", ".", 200, cut=True)])
def test_what_may_have_been_posted_is_not_posted_again(server: Server, api: GitHub, fault: Fault) -> None:
    server.faults = [fault]
    with pytest.raises(Uncertain):
        api.draft(server.head, "x", [])
    assert asked(server) == 1


def test_a_post_that_the_rate_limit_stopped_is_posted_again(server: Server, api: GitHub) -> None:
    server.faults = [Fault("POST", ".", 429, {"Retry-After": "2"})]
    assert api.draft(server.head, "x", [])["state"] == "PENDING"
    assert asked(server) == 2


def test_a_limit_that_is_far_away_is_not_waited_for(server: Server, api: GitHub, waits: list[float]) -> None:
    reset = f"{NOW + 3600:.0f}"
    server.faults = [Fault("GET", ".", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})]
    with pytest.raises(Refused, match=r"rate limit is used up for 3,601 s more") as caught:
        api.pull()
    assert waits == []
    assert "run it again" in caught.value.hint
    assert asked(server) == 1


def test_github_says_how_long_to_wait(
    server: Server, api: GitHub, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamina.set_testing(False)
    monkeypatch.setattr(time, "sleep", waits.append)
    server.faults = [
        Fault("GET", ".", 403, {"Retry-After": "7"}),
        Fault("GET", ".", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW + 20:.0f}"}),
        Fault("GET", ".", 403, body=b'{"message": "a secondary rate limit"}'),
        Fault("GET", ".", 502),
    ]
    api.pull()
    assert waits[:3] == [7.0, 21.0, github.SECONDARY_WAIT]
    assert 1.0 <= waits[3] <= 30.0


def test_writes_keep_their_distance(
    server: Server, api: GitHub, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "BETWEEN_WRITES", 1.0)
    for _ in range(2):
        api.set_status(server.head, state="success", context="pgaudit")
    assert waits == [0.0, 1.0]


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    with GitHub(REPOSITORY, 7) as api, pytest.raises(PostError, match=r"127\.0\.0\.1 cannot be reached"):
        api.pull()


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"x"'])
def test_a_server_that_is_something_else(server: Server, api: GitHub, body: bytes) -> None:
    server.faults = [Fault("GET", ".", 200, body=body)]
    with pytest.raises(PostError, match="did not answer as the API of GitHub does"):
        api.pull()
    server.faults = [Fault("GET", ".", 200, body=b"{}")]
    with pytest.raises(PostError, match="did not answer as the API of GitHub does"):
        api.files()


def test_graphql_that_answers_with_errors(server: Server, api: GitHub) -> None:
    server.faults = [Fault("POST", "graphql", 200, body=b'{"data": null, "errors": [{"message": "no such field"}]}')]
    with pytest.raises(Refused, match="no such field"):
        api.threads()


def test_threads_come_in_pages(server: Server, api: GitHub) -> None:
    server.page = 2
    review = server.add_review("ada", "x", "COMMENTED")["id"]
    path = server.files[0]["filename"]
    for line in range(1, 6):
        server.add_comment("ada", review, {"path": path, "line": line, "side": "RIGHT", "body": "x"})
    account, threads = api.threads()
    assert account == "pgaudit[bot]"
    assert sorted(threads) == sorted(server.comments)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", "two words", "ünïcode"])
def test_a_token_that_is_none_is_not_shown(server: Server, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", token)
    with pytest.raises(PostError, match="GITHUB_TOKEN holds blanks or characters") as caught:
        GitHub(REPOSITORY, 7)
    assert token.strip() not in str(caught.value)


def test_without_a_token_nothing_is_posted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.setenv("GH_TOKEN", "another")
    with pytest.raises(PostError, match="no token in GITHUB_TOKEN"):
        GitHub(REPOSITORY, 7)


def test_a_preview_sends_nothing(server: Server) -> None:
    shown = io.StringIO()
    with GitHub(REPOSITORY, 7, preview=shown) as api:
        api.draft(server.head, "böse \x1b[31m", [])
        api.resolve("T1", resolved=True)
    assert server.requests == []
    assert shown.getvalue().startswith(f"POST {server.address}/repos/{REPOSITORY}/pulls/7/reviews\n{{\n")
    assert shown.getvalue().isascii()
    assert "\x1b" not in shown.getvalue()
    assert TOKEN not in shown.getvalue()
