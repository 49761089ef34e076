"""A GitHub of one pull request: keeps state, refuses what GitHub refuses, and fails on demand."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "openai/parameter-golf"
NUMBER = 7
BOT = "pgaudit[bot]"
TOKENS = {"Bearer secret-of-the-bot": BOT, "Bearer secret-of-ada": "ada"}
LONGEST = 65_536
"""Characters of a text, as GitHub counts them."""

Answer = tuple[int, object]


@dataclass(frozen=True)
class Request:
    """What was asked, for tests and for the validation against GitHub's description."""

    method: str
    path: str
    body: object


@dataclass
class Fault:
    """An answer that is given instead of the right one, ``times`` times; after it has taken effect where ``late``."""

    method: str
    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"message": "a fault"}'
    times: int = 1
    late: bool = False
    cut: bool = False
    """Announce more bytes than come."""
    sleep: float = 0.0


class Refusal(Exception):
    """An error of the API."""

    def __init__(self, status: int, message: str, *errors: str) -> None:
        super().__init__(message)
        self.answer: Answer = (status, {"message": message, **({"errors": list(errors)} if errors else {})})


class Server(ThreadingHTTPServer):
    """The state, and what happened to it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.head = "a" * 40
        self.files: list[dict[str, Any]] = []
        self.content: dict[str, bytes] = {}
        """Whole files of the head, by path."""
        self.reviews: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.resolved: dict[int, bool] = {}
        self.statuses: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.page = 100
        """Most entries of a page, whatever is asked for."""
        self.may_set_status = True
        self.ids = count(1)
        self.lock = threading.Lock()
        self.before: Callable[[Request], None] = lambda request: None
        """Called, outside the lock, before a request is answered."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def writes(self) -> list[str]:
        """What was changed, or tried to be, as method and last parts of the path."""
        return [
            f"{each.method} {each.path.partition(REPOSITORY)[2] or each.path}"
            for each in self.requests
            if each.method != "GET" and not is_question(each)
        ]

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """The reviews that everybody sees and that say something."""
        return [each for each in self.reviews.values() if each["state"] != "PENDING" and each["body"]]

    def add_file(self, path: str, lines: int, first: int = 1) -> None:
        """A file of which the diff shows ``lines`` lines."""
        patch = f"@@ -0,0 +{first},{lines} @@\n" + "\n".join(["+x"] * lines)
        self.files.append({"filename": path, "status": "added", "patch": patch})

    def push(self, head: str, moved: Callable[[dict[str, Any]], int | None] = lambda comment: comment["line"]) -> None:
        """A new head; ``moved`` says where each comment is now, ``None`` for out of date."""
        self.head = head
        for comment in self.comments.values():
            comment["line"] = moved(comment)

    def answer(self, request: Request, account: str) -> Answer:
        for method, pattern, handle in ROUTES:
            match = re.fullmatch(pattern, urlsplit(request.path).path)
            if method == request.method and match:
                with self.lock:
                    try:
                        return handle(self, account, request, *match.groups())
                    except Refusal as refusal:
                        return refusal.answer
        return (404, {"message": "Not Found"})

    def fault(self, request: Request) -> Fault | None:
        with self.lock:
            for each in self.faults:
                if each.times and each.method == request.method and re.search(each.path, request.path):
                    each.times -= 1
                    return each
        return None

    def paged(self, request: Request, entries: list[dict[str, Any]]) -> Answer:
        asked = parse_qs(urlsplit(request.path).query)
        size, page = min(int(asked["per_page"][0]), self.page), int(asked["page"][0])
        return (200, entries[(page - 1) * size : page * size])

    def own_draft(self, account: str) -> dict[str, Any] | None:
        own = (each for each in self.reviews.values() if each["user"]["login"] == account)
        return next((each for each in own if each["state"] == "PENDING"), None)

    def add_comment(self, account: str, review: int, given: dict[str, Any]) -> dict[str, Any]:
        refuse_text(given["body"])
        hunks = [file["patch"] for file in self.files if file["filename"] == given["path"] and file.get("patch")]
        shown = [
            range(int(m[1]), int(m[1]) + int(m[2])) for patch in hunks for m in re.finditer(r"\+(\d+),(\d+) @@", patch)
        ]
        if not any(given["line"] in lines for lines in shown) or given["side"] != "RIGHT":
            raise Refusal(422, "Unprocessable Entity", "Pull request review thread line must be part of the diff")
        comment = {"id": next(self.ids), "user": {"login": account}, "pull_request_review_id": review, **given}
        self.comments[comment["id"]] = comment
        self.resolved[comment["id"]] = False
        return comment

    def add_review(self, account: str, body: str, state: str) -> dict[str, Any]:
        number = next(self.ids)
        address = f"https://github.com/{REPOSITORY}/pull/{NUMBER}#pullrequestreview-{number}"
        review = {"id": number, "user": {"login": account}, "body": body, "state": state, "html_url": address}
        self.reviews[number] = review
        return review


def refuse_text(body: str) -> None:
    if len(body) > LONGEST:
        raise Refusal(422, "Validation Failed", f"body is too long (maximum is {LONGEST} characters)")


def is_question(request: Request) -> bool:
    """Whether a request only reads."""
    return isinstance(request.body, dict) and "mutation" not in str(request.body.get("query", "mutation"))


def get_pull(server: Server, account: str, request: Request) -> Answer:
    head = {"sha": server.head}
    return (200, {"number": NUMBER, "state": "open", "head": head, "changed_files": len(server.files)})


def get_commit(server: Server, account: str, request: Request) -> Answer:
    return (200, {"tree": {"sha": "7" * 40}, "committer": {"date": "2026-04-01T00:00:00Z"}})


def get_tree(server: Server, account: str, request: Request) -> Answer:
    entries = [
        {"path": path, "mode": "100644", "type": "blob", "sha": str(number), "size": len(data)}
        for number, (path, data) in enumerate(server.content.items())
    ]
    return (200, {"tree": entries, "truncated": False})


def get_blob(server: Server, account: str, request: Request, number: str) -> Answer:
    return (200, list(server.content.values())[int(number)])


def get_files(server: Server, account: str, request: Request) -> Answer:
    return server.paged(request, server.files)


def get_reviews(server: Server, account: str, request: Request) -> Answer:
    seen = [r for r in server.reviews.values() if r["state"] != "PENDING" or r["user"]["login"] == account]
    return server.paged(request, seen)


def get_comments(server: Server, account: str, request: Request) -> Answer:
    shown = [
        each
        for each in server.comments.values()
        if server.reviews[each["pull_request_review_id"]]["state"] != "PENDING"
    ]
    return server.paged(request, shown)


def post_review(server: Server, account: str, request: Request) -> Answer:
    given: Any = request.body
    refuse_text(given["body"])
    if server.own_draft(account):
        raise Refusal(422, "Unprocessable Entity", "User can only have one pending review per pull request")
    review = server.add_review(account, given["body"], "PENDING")
    before = dict(server.comments)
    try:
        for comment in given["comments"]:
            server.add_comment(account, review["id"], comment)
    except Refusal:
        server.comments = before
        del server.reviews[review["id"]]
        raise
    return (200, review)


def find_review(server: Server, account: str, number: str) -> dict[str, Any]:
    review = server.reviews.get(int(number))
    if review is None or (review["state"] == "PENDING" and review["user"]["login"] != account):
        raise Refusal(404, "Not Found")
    if review["user"]["login"] != account:
        raise Refusal(403, "Resource not accessible by integration")
    return review


def post_event(server: Server, account: str, request: Request, number: str) -> Answer:
    given: Any = request.body
    review = find_review(server, account, number)
    if review["state"] != "PENDING":
        raise Refusal(422, "Unprocessable Entity", "Could not submit a review that is not pending")
    review |= {"state": "COMMENTED", "body": given["body"]}
    return (200, review)


def put_review(server: Server, account: str, request: Request, number: str) -> Answer:
    given: Any = request.body
    refuse_text(given["body"])
    review = find_review(server, account, number)
    review["body"] = given["body"]
    return (200, review)


def delete_review(server: Server, account: str, request: Request, number: str) -> Answer:
    review = find_review(server, account, number)
    if review["state"] != "PENDING":
        raise Refusal(422, "Can not delete a non-pending pull request review")
    del server.reviews[int(number)]
    server.comments = {k: c for k, c in server.comments.items() if c["pull_request_review_id"] != int(number)}
    return (200, review)


def post_comment(server: Server, account: str, request: Request) -> Answer:
    if server.own_draft(account):
        raise Refusal(422, "Validation Failed", "user_id can only have one pending review per pull request")
    given: Any = dict(request.body)  # type: ignore[call-overload]
    del given["commit_id"]
    around = server.add_review(account, "", "COMMENTED")
    try:
        return (201, server.add_comment(account, around["id"], given))
    except Refusal:
        del server.reviews[around["id"]]
        raise


def find_comment(server: Server, account: str, number: str) -> dict[str, Any]:
    if int(number) not in server.comments:
        raise Refusal(404, "Not Found")
    return server.comments[int(number)]


def patch_comment(server: Server, account: str, request: Request, number: str) -> Answer:
    given: Any = request.body
    comment = find_comment(server, account, number)
    comment["body"] = given["body"]
    return (200, comment)


def delete_comment(server: Server, account: str, request: Request, number: str) -> Answer:
    find_comment(server, account, number)
    del server.comments[int(number)]
    return (204, None)


def get_statuses(server: Server, account: str, request: Request, sha: str) -> Answer:
    return server.paged(request, [each for each in reversed(server.statuses) if each["sha"] == sha])


def post_status(server: Server, account: str, request: Request, sha: str) -> Answer:
    if not server.may_set_status:
        raise Refusal(403, "Resource not accessible by integration")
    given: Any = request.body
    status = {"description": None, "target_url": None, **given, "sha": sha}
    server.statuses.append(status)
    return (201, status)


def graphql(server: Server, account: str, request: Request) -> Answer:
    given: Any = request.body
    if "mutation" in given["query"]:
        server.resolved[int(given["variables"]["thread"].removeprefix("T"))] = "unresolve" not in given["query"]
        return (200, {"data": {"done": {}}})
    start = int(given["variables"]["after"] or 0)
    ids = sorted(server.comments)[start : start + server.page]
    nodes = [{"id": f"T{i}", "isResolved": server.resolved[i], "comments": {"nodes": [{"databaseId": i}]}} for i in ids]
    more = {"hasNextPage": start + server.page < len(server.comments), "endCursor": str(start + server.page)}
    page = {"pageInfo": more, "nodes": nodes}
    data = {"viewer": {"login": account}, "repository": {"pullRequest": {"reviewThreads": page}}}
    return (200, {"data": data})


_REPO = f"/repos/{REPOSITORY}"
_PULL = f"{_REPO}/pulls/{NUMBER}"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", _PULL, get_pull),
    ("GET", rf"{_REPO}/git/commits/\w+", get_commit),
    ("GET", rf"{_REPO}/git/trees/\w+", get_tree),
    ("GET", rf"{_REPO}/git/blobs/(\d+)", get_blob),
    ("GET", f"{_PULL}/files", get_files),
    ("GET", f"{_PULL}/reviews", get_reviews),
    ("POST", f"{_PULL}/reviews", post_review),
    ("POST", rf"{_PULL}/reviews/(\d+)/events", post_event),
    ("PUT", rf"{_PULL}/reviews/(\d+)", put_review),
    ("DELETE", rf"{_PULL}/reviews/(\d+)", delete_review),
    ("GET", f"{_PULL}/comments", get_comments),
    ("POST", f"{_PULL}/comments", post_comment),
    ("PATCH", rf"{_REPO}/pulls/comments/(\d+)", patch_comment),
    ("DELETE", rf"{_REPO}/pulls/comments/(\d+)", delete_comment),
    ("GET", rf"{_REPO}/commits/([0-9a-f]{{40}})/statuses", get_statuses),
    ("POST", rf"{_REPO}/statuses/([0-9a-f]{{40}})", post_status),
    ("POST", "/graphql", graphql),
]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self) -> None:
        length = int(self.headers["Content-Length"] or 0)
        request = Request(self.command, self.path, json.loads(self.rfile.read(length)) if length else None)
        self.server.before(request)
        with self.server.lock:
            self.server.requests.append(request)
        fault = self.server.fault(request)
        if fault and not fault.late:
            self.fail(fault)
            return
        account = TOKENS.get(self.headers["Authorization"] or "")
        if account is None:
            status, answer = (401, {"message": "Bad credentials"})
        else:
            status, answer = self.server.answer(request, account)  # type: ignore[assignment]
        if fault:
            self.fail(fault)
        else:
            content = (
                answer if isinstance(answer, bytes) else json.dumps(answer).encode() if answer is not None else b""
            )
            self.send(status, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815 - the names that it looks up

    def fail(self, fault: Fault) -> None:
        if fault.sleep:
            time.sleep(fault.sleep)
        if fault.status:
            self.send(fault.status, fault.body, fault.headers, more=100 if fault.cut else 0)
        self.close_connection = self.close_connection or fault.cut or not fault.status

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, more: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + more))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        """Say nothing."""


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as it is needed."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
