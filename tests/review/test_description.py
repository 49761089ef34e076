"""Every kind of request, against GitHub's own descriptions: OpenAPI by the validating server Prism, GraphQL by graphql-js.

CI's npm packages bring both.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from pgaudit.fix.repair import Replacement
from pgaudit.review import github
from pgaudit.review.github import GitHub
from pgaudit.review.posting import post
from tests.review.server import REPOSITORY, Request, Server, is_question
from tests.review.support import HEAD, SCRIPT, STYLE, composer, finding, report
from tests.support import FOLDER, from_npm

PATHS = (
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/pulls/{pull_number}/files",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/events",
    "/repos/{owner}/{repo}/pulls/{pull_number}/comments",
    "/repos/{owner}/{repo}/pulls/comments/{comment_id}",
    "/repos/{owner}/{repo}/commits/{ref}/statuses",
    "/repos/{owner}/{repo}/statuses/{sha}",
)
"""What the client uses. Prism takes minutes for all that GitHub has."""
STARTS_WITHIN = 60.0
NEXT = "b" * 40


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """GitHub's description of those paths, word for word, with everything that they refer to."""
    whole = json.loads(from_npm("@octokit/openapi/generated/api.github.com.json").read_text("utf-8"))
    paths = {path: whole["paths"][path] for path in PATHS}
    parts: dict[str, dict[str, Any]] = {}
    waiting = [json.dumps(paths)]
    while waiting:
        for kind, name in re.findall(r'"#/components/([^/"]+)/([^"]+)"', waiting.pop()):
            if name not in parts.setdefault(kind, {}):
                parts[kind][name] = whole["components"][kind][name]
                waiting.append(json.dumps(parts[kind][name]))
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": parts}


@pytest.fixture(scope="module")
def prism(description: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that refuses what the description does not allow, and answers with its examples."""
    folder = tmp_path_factory.mktemp("prism")
    (folder / "github.json").write_text(json.dumps(description))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command: list[str | Path] = [from_npm(".bin/prism"), "mock", "--port", port, folder / "github.json"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + STARTS_WITHIN
            while not _answers(address):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).status_code == 404  # there is no such path
    except httpx.TransportError:
        return False


def validate(prism: str, request: Request) -> str:
    """What Prism has against a request; empty for nothing."""
    body = json.dumps(request.body).encode() if request.body is not None else None
    headers = {"Authorization": "Bearer x", "Accept": "application/vnd.github+json, application/json"}
    headers |= {"Content-Type": "application/json"} if body else {}
    response = httpx.request(
        request.method, f"{prism}{request.path}", content=body, headers=headers, trust_env=False, timeout=30
    )
    # GitHub's examples do not all keep to GitHub's description, so what Prism says of answers does not count.
    violations = [
        each for each in json.loads(response.headers.get("sl-violations", "[]")) if each["location"][0] == "request"
    ]
    unknown = "problem+json" in response.headers.get("content-type", "") and "VIOLATIONS" not in response.text
    return f"{request.method} {request.path}: {violations or response.text}" if violations or unknown else ""


@pytest.fixture
def requests(server: Server, api: GitHub) -> list[Request]:
    """Every kind of request that the poster sends, as it sent them to a server that keeps state."""
    lines = tuple(Replacement("submission.json", 2, 3, ("a", "b"), ("why",)) for _ in range(1))
    server.add_file(f"{FOLDER}/submission.json", 9)
    post(api, HEAD, composer(report(finding(3), finding(5), replacements=lines)))
    server.push(NEXT)
    post(api, NEXT, composer(report(finding(3), finding(9), head=NEXT)))
    server.push(HEAD)
    post(api, HEAD, composer(report(finding(5))))
    server.reviews.clear()
    server.comments.clear()
    server.add_review("pgaudit[bot]", f"<!-- pgaudit:review {HEAD} -->\nleft behind", "PENDING")
    post(api, HEAD, composer(report(finding(5))))
    review = next(iter(server.reviews))
    double = {"path": SCRIPT, "line": 5, "side": "RIGHT", "body": next(iter(server.comments.values()))["body"]}
    server.add_comment("pgaudit[bot]", review, double)
    post(api, HEAD, composer(report(finding(5), finding(7))))
    return server.requests


def test_every_request_is_one_that_github_describes(prism: str, requests: list[Request]) -> None:
    rest = [request for request in requests if request.path != "/graphql"]
    kinds = {(each.method, re.sub(r"\d+|\?.*|[0-9a-f]{40}", "", each.path.partition(REPOSITORY)[2])) for each in rest}
    assert kinds == {
        ("GET", "/pulls/"),
        ("GET", "/pulls//files"),
        ("GET", "/pulls//reviews"),
        ("GET", "/pulls//comments"),
        ("GET", "/commits//statuses"),
        ("POST", "/pulls//reviews"),
        ("POST", "/pulls//reviews//events"),
        ("PUT", "/pulls//reviews/"),
        ("DELETE", "/pulls//reviews/"),
        ("POST", "/pulls//comments"),
        ("PATCH", "/pulls/comments/"),
        ("DELETE", "/pulls/comments/"),
        ("POST", "/statuses/"),
    }
    assert [said for request in rest if (said := validate(prism, request))] == []


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", f"/repos/{REPOSITORY}/pulls/7/reviews", {"event": "APPLAUD"}),
        Request("POST", f"/repos/{REPOSITORY}/pulls/7/comments", {"body": "x"}),
        Request("PATCH", f"/repos/{REPOSITORY}/pulls/comments/7", {}),
        Request("POST", f"/repos/{REPOSITORY}/statuses/{HEAD}", {"state": "fine"}),
        Request("GET", f"/repos/{REPOSITORY}/pulls/seven", None),
        Request("GET", f"/repos/{REPOSITORY}/pulls/7/thoughts", None),
    ],
    ids=lambda request: f"{request.method}-{request.path.rpartition('/')[2][:9]}",
)
def test_the_server_refuses_other_requests(prism: str, request_: Request) -> None:
    assert validate(prism, request_)


def test_the_poster_understands_github_s_own_examples(
    prism: str, description: dict[str, Any], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole post against answers that are GitHub's examples; GraphQL, which it does not describe there, by our server."""
    head = description["components"]["examples"]["pull-request"]["value"]["head"]["sha"]
    monkeypatch.setenv("GITHUB_GRAPHQL_URL", f"{server.address}/graphql")
    monkeypatch.setenv("GITHUB_API_URL", prism)
    monkeypatch.setattr(github, "PAGE", 30)
    with GitHub("octocat/Hello-World", 1347) as api:
        assert api.pull()["head"]["sha"] == head
        assert {"filename", "status", "patch"} <= set(api.files()[0])
        (review,) = api.reviews()
        assert {"id", "body", "state", "html_url", "user"} <= set(review)
        (comment,) = api.comments()
        assert {"id", "body", "line", "user"} <= set(comment)
        assert {"context", "state", "description", "target_url"} <= set(api.statuses(head)[0])
        assert api.draft(head, "x", [])["id"]
        assert api.submit(80, "x")["id"]


def test_every_query_is_one_that_github_describes(requests: list[Request]) -> None:
    queries = {str(each.body["query"]) for each in requests if isinstance(each.body, dict) and "query" in each.body}
    assert queries == {github.THREADS, github.RESOLVE, github.UNRESOLVE}
    assert any(is_question(each) for each in requests)
    index = from_npm("@octokit/graphql-schema/index.js").resolve().as_uri()
    script = (
        f"import {{validate}} from {json.dumps(index)}; import {{readFileSync}} from 'node:fs';"
        "const queries = JSON.parse(readFileSync(0));"
        "console.log(JSON.stringify(queries.map(query => validate(query).map(String))))"
    )
    wrong = "query { viewer { shoeSize } }"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        input=json.dumps([*sorted(queries), wrong]),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *found, last = json.loads(done.stdout)
    assert found == [[], [], []]
    assert "shoeSize" in last[0]


def test_a_style_without_comments_is_one_too(prism: str, server: Server, api: GitHub) -> None:
    post(api, HEAD, composer(report(finding(3)), replace(STYLE, most_inline=0)))
    rest = [request for request in server.requests if request.path != "/graphql"]
    assert [said for request in rest if (said := validate(prism, request))] == []
