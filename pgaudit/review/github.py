"""GitHub's API as far as a review needs it (https://docs.github.com/rest, version 2022-11-28). Nothing else talks to the network.

``GITHUB_API_URL`` and ``GITHUB_GRAPHQL_URL`` name another server, as on GitHub's own runners. The token comes from ``GITHUB_TOKEN``
and goes into one header; no message, log or exception of this module holds it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import httpx
import stamina

from pgaudit.errors import PostError

PAGE = 100
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
ATTEMPTS = 5
LONGEST_WAIT = 300.0
"""Seconds that a rate limit is waited for; a job that sleeps longer is better run again."""
SECONDARY_WAIT = 60.0
"""Seconds to wait after a secondary limit that does not say how long, by GitHub's documentation."""
BETWEEN_WRITES = 1.0
"""Seconds between requests that change something, by the same."""
REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
"""Methods that may be sent again when nobody knows whether they arrived."""

THREADS = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  viewer { login }
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id isResolved comments(first: 1) { nodes { databaseId } } }
      }
    }
  }
}
"""
RESOLVE = "mutation($thread: ID!) { resolveReviewThread(input: {threadId: $thread}) { thread { id } } }"
UNRESOLVE = "mutation($thread: ID!) { unresolveReviewThread(input: {threadId: $thread}) { thread { id } } }"


class Refused(PostError):
    """GitHub understood the request and said no; ``status`` is its answer."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


class Uncertain(PostError):
    """No answer came to a request that may have taken effect: what is there now has to be read again."""


class _Again(Exception):
    """Worth another attempt, after ``wait`` seconds if GitHub said how long."""

    def __init__(self, failure: PostError, wait: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.wait = wait


class GitHub:
    """One pull request on a server. With ``preview``, what would be written is printed there and not sent."""

    def __init__(self, repository: str, number: int, *, preview: TextIO | None = None) -> None:
        server = (os.environ.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/")
        self._graphql = os.environ.get("GITHUB_GRAPHQL_URL") or f"{server.removesuffix('/v3')}/graphql"
        self._repository = repository
        self._number = number
        self._preview = preview
        self._last_write = 0.0
        headers = {
            "Accept": "application/vnd.github+json, application/json",
            "User-Agent": "pgaudit",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        token = os.environ.get("GITHUB_TOKEN", "")
        if not token and preview is None:
            raise PostError("there is no token in GITHUB_TOKEN", hint="--dry-run shows what would be posted")
        if not re.fullmatch(r"[!-~]*", token):
            raise PostError("GITHUB_TOKEN holds blanks or characters that no token has")
        if not server.startswith(("https://", "http://")):
            raise PostError("GITHUB_API_URL is not a web address")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.previews = preview is not None
        self.known = bool(token)
        """Whether GitHub knows who asks; without that nothing of our own can be found."""
        # Redirects are not followed: a repository that moved is to be named as it is called now.
        self._http = httpx.Client(base_url=f"{server}/repos/{repository}/", headers=headers, timeout=TIMEOUT)

    def __enter__(self) -> GitHub:
        return self

    def __exit__(self, *raised: object) -> None:
        self._http.close()

    def pull(self) -> dict[str, Any]:
        """The pull request."""
        return self._one("GET", f"pulls/{self._number}")

    def files(self) -> list[dict[str, Any]]:
        """Its changed files, with the parts of the diff that GitHub shows."""
        return list(self._pages(f"pulls/{self._number}/files"))

    def reviews(self) -> list[dict[str, Any]]:
        """All reviews that the account can see, oldest first; its own draft is among them."""
        return list(self._pages(f"pulls/{self._number}/reviews"))

    def comments(self) -> list[dict[str, Any]]:
        """All comments in the diff."""
        return list(self._pages(f"pulls/{self._number}/comments"))

    def threads(self) -> tuple[str, dict[int, tuple[str, bool]]]:
        """The account's own name; and each thread by the id of its first comment: its id, and whether it is resolved."""
        owner, _, name = self._repository.partition("/")
        found: dict[int, tuple[str, bool]] = {}
        after = None
        while True:
            variables = {"owner": owner, "name": name, "number": self._number, "after": after}
            data = self._query(THREADS, variables)
            page = data["repository"]["pullRequest"]["reviewThreads"]
            for node in page["nodes"]:
                for comment in node["comments"]["nodes"]:
                    found[comment["databaseId"]] = (node["id"], node["isResolved"])
            if not page["pageInfo"]["hasNextPage"]:
                return data["viewer"]["login"], found
            after = page["pageInfo"]["endCursor"]

    def statuses(self, sha: str) -> list[dict[str, Any]]:
        """The statuses of a commit, newest first."""
        return list(self._pages(f"commits/{sha}/statuses"))

    def draft(self, head: str, body: str, comments: list[dict[str, Any]]) -> dict[str, Any]:
        """A review that nobody else sees yet. An account can have one per pull request: a second is refused."""
        return self._write(
            "POST", f"pulls/{self._number}/reviews", {"commit_id": head, "body": body, "comments": comments}
        )

    def submit(self, review: int, body: str) -> dict[str, Any]:
        """Show the draft to everybody, as a comment: neither an approval nor a request for changes."""
        return self._write("POST", f"pulls/{self._number}/reviews/{review}/events", {"event": "COMMENT", "body": body})

    def drop(self, review: int) -> None:
        """Delete a draft."""
        self._write("DELETE", f"pulls/{self._number}/reviews/{review}")

    def edit_review(self, review: int, body: str) -> None:
        """Replace the text of a review."""
        self._write("PUT", f"pulls/{self._number}/reviews/{review}", {"body": body})

    def comment(self, head: str, comment: dict[str, Any]) -> None:
        """Add a comment in the diff."""
        self._write("POST", f"pulls/{self._number}/comments", {"commit_id": head, **comment})

    def edit_comment(self, comment: int, body: str) -> None:
        """Replace the text of a comment."""
        self._write("PATCH", f"pulls/comments/{comment}", {"body": body})

    def delete_comment(self, comment: int) -> None:
        """Delete a comment."""
        self._write("DELETE", f"pulls/comments/{comment}")

    def set_status(self, sha: str, **status: str) -> None:
        """Set the status of a commit."""
        self._write("POST", f"statuses/{sha}", status)

    def resolve(self, thread: str, *, resolved: bool) -> None:
        """Resolve a thread, or open it again."""
        query = RESOLVE if resolved else UNRESOLVE
        if self._preview is not None:
            self._show("POST", self._graphql, {"query": query, "variables": {"thread": thread}})
            return
        self._pause()
        self._query(query, {"thread": thread})

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            found = self._call("GET", path, query={"per_page": PAGE, "page": page})
            if not isinstance(found, list):
                raise self._strange()
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def _one(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        found = self._call(method, path, content)
        if not isinstance(found, dict):
            raise self._strange()
        return found

    def _write(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if self._preview is not None:
            self._show(method, f"{self._http.base_url}{path}", content)
            return {}
        self._pause()
        found = self._call(method, path, content)
        return found if isinstance(found, dict) else {}

    def _query(self, query: str, variables: dict[str, Any]) -> Any:
        """A GraphQL query, or a mutation that may be repeated."""
        answer = self._call("POST", self._graphql, {"query": query, "variables": variables}, repeatable=True)
        if not isinstance(answer, dict) or answer.get("errors") or not answer.get("data"):
            errors = answer.get("errors") if isinstance(answer, dict) else None
            raise Refused(200, f"GitHub's GraphQL answered: {json.dumps(errors)[:300]}")
        return answer["data"]

    def _show(self, method: str, address: str, content: Mapping[str, Any] | None) -> None:
        assert self._preview is not None
        # ASCII, so that no text of a submission reaches a terminal raw.
        self._preview.write(f"{method} {address}\n")
        if content:
            self._preview.write(f"{json.dumps(content, indent=2)}\n")
        self._preview.write("\n")

    def _pause(self) -> None:
        ready = self._last_write + BETWEEN_WRITES
        time.sleep(max(0.0, ready - time.monotonic()))
        self._last_write = time.monotonic()

    def _call(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None = None,
        *,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """One request, again where that may help. Raises ``Refused``, ``Uncertain`` or ``PostError``."""
        repeatable = repeatable or method in REPEATABLE
        try:
            for attempt in stamina.retry_context(
                on=_wait, attempts=ATTEMPTS, timeout=None, wait_initial=1.0, wait_max=30.0
            ):
                with attempt:
                    return self._once(method, path, content, query, repeatable=repeatable)
        except _Again as last:
            raise last.failure from None
        raise AssertionError  # retry_context ends in a return or a raise

    def _once(
        self,
        method: str,
        path: str,
        content: Mapping[str, Any] | None,
        query: dict[str, int] | None,
        *,
        repeatable: bool,
    ) -> Any:
        body = json.dumps(content).encode() if content is not None else None
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            response = self._http.request(method, path, content=body, params=query, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _Again(PostError(f"{self._host} cannot be reached: {error}")) from None
        except httpx.HTTPError as error:
            raise self._unanswered(f"{type(error).__name__} for {method} {path}", repeatable=repeatable) from None
        if response.status_code >= 500:
            raise self._unanswered(f"{response.status_code} for {method} {path}", repeatable=repeatable)
        if limited := _limited(response):
            raise limited
        if not response.is_success:
            raise _refusal(response, method, path)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._unanswered(f"no JSON for {method} {path}", repeatable=repeatable) from None

    def _unanswered(self, what: str, *, repeatable: bool) -> Exception:
        message = f"{self._host} did not answer as the API of GitHub does: {what}"
        return _Again(PostError(message)) if repeatable else Uncertain(message)

    def _strange(self) -> PostError:
        return PostError(f"{self._host} did not answer as the API of GitHub does")

    @property
    def _host(self) -> str:
        return self._http.base_url.host


def _wait(error: Exception) -> bool | float:
    """Whether to try again, or after how many seconds."""
    if not isinstance(error, _Again):
        return False
    return True if error.wait is None else error.wait


def _limited(response: httpx.Response) -> Exception | None:
    """What to do about a rate limit, primary or secondary; ``None`` where the answer is none."""
    if response.status_code not in (403, 429):
        return None
    headers = response.headers
    after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
    if after.isdecimal():
        wait = float(after)
    elif headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        wait = max(0.0, float(reset) - time.time()) + 1.0
    elif response.status_code == 429 or "secondary rate limit" in response.text:
        wait = SECONDARY_WAIT
    else:
        return None
    failure = Refused(
        response.status_code,
        f"GitHub's rate limit is used up for {wait:,.0f} s more",
        hint="run it again then: what was posted so far stands, and the rest follows",
    )
    return failure if wait > LONGEST_WAIT else _Again(failure, wait)


def _refusal(response: httpx.Response, method: str, path: str) -> Refused:
    hints = {
        401: "GITHUB_TOKEN holds no token that GitHub accepts",
        403: "the token needs write access to pull requests (and to commit statuses, for the status)",
        404: "is the name right, and may the token read the repository?",
    }
    if response.is_redirect:
        return Refused(
            response.status_code, "the repository is called otherwise now", hint="name it as GitHub shows it"
        )
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    said = answer if isinstance(answer, dict) else {}
    details = said.get("errors")
    message = f"{said.get('message', response.reason_phrase)}{f' {json.dumps(details)}' if details else ''}"
    return Refused(
        response.status_code,
        f"GitHub answered {response.status_code} to {method} {path}: {message[:300]}",
        hints.get(response.status_code, ""),
    )
