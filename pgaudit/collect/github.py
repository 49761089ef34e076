"""Pull requests read from GitHub's REST API (https://docs.github.com/rest), version 2022-11-28.

``GITHUB_API_URL`` names another server, ``GITHUB_TOKEN`` or ``GH_TOKEN`` an optional token.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pgaudit.collect.assemble import assemble, unopened
from pgaudit.collect.layout import SPECIAL_MODES, is_plain, printable
from pgaudit.errors import TargetError
from pgaudit.submission import MAX_TEXT_BYTES, Collected, File, Origin, UnreadableFile

TIMEOUT_SECONDS = 30
PAGE = 100
_CLONE_HINT = "clone the repository, fetch refs/pull/N/head and use --repo DIR --pr N"


class GitHub:
    """The API as far as pgaudit needs it: pull requests, commits, trees and blobs."""

    def __init__(self) -> None:
        self._server = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
        self._token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
        if not self._server.startswith(("https://", "http://")):
            raise TargetError(f"GITHUB_API_URL is not a web address: {self._server}")

    def pull_request(self, repository: str, number: int) -> Collected:
        """What a pull request of ``owner/name`` changes; its files are downloaded when read. Raises ``TargetError``."""
        name = f"{repository}#{number}"
        try:
            pull = self._json(f"{repository}/pulls/{number}", name)
            head = pull["head"]["sha"]
            commit = self._json(f"{repository}/git/commits/{head}", name)
            files = list(self._files(repository, number, name))
            listing = self._json(f"{repository}/git/trees/{commit['tree']['sha']}?recursive=1", name)
            if listing["truncated"] or len(files) < pull["changed_files"]:
                raise TargetError(f"{name} is larger than the API of GitHub lists", hint=_CLONE_HINT)
            date = datetime.fromisoformat(commit["committer"]["date"]).astimezone(UTC).date()
            return assemble(
                _Tree(self, repository, files, listing["tree"]), Origin(name, number, head, date, repository)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise TargetError(f"{self._server} did not answer for {name} as the API of GitHub does") from error

    def blob(self, repository: str, sha: str) -> bytes:
        """The content of a file. Raises ``TargetError``."""
        return self._get(f"{repository}/git/blobs/{sha}", f"{repository} {sha}", "application/vnd.github.raw+json")

    def _files(self, repository: str, number: int, name: str) -> Iterator[dict[str, Any]]:
        page = 1
        while files := self._json(f"{repository}/pulls/{number}/files?per_page={PAGE}&page={page}", name):
            yield from files
            if len(files) < PAGE:
                return
            page += 1

    def _json(self, path: str, name: str) -> Any:
        return json.loads(self._get(path, name, "application/vnd.github+json"))

    def _get(self, path: str, name: str, accept: str) -> bytes:
        headers = {"Accept": accept, "User-Agent": "pgaudit", "X-GitHub-Api-Version": "2022-11-28"}
        request = Request(f"{self._server.rstrip('/')}/repos/{path}", headers=headers)  # noqa: S310 - a web address
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                content: bytes = response.read(MAX_TEXT_BYTES + 1)
        except HTTPError as error:
            raise _refusal(error, name) from error
        except (OSError, HTTPException) as error:
            raise TargetError(f"{self._server} cannot be reached: {getattr(error, 'reason', error)}") from error
        if len(content) > MAX_TEXT_BYTES:
            raise TargetError(f"{self._server} answered for {name} with more than {MAX_TEXT_BYTES:,} bytes")
        return content


class _Tree:
    """The tree at the head of a pull request."""

    def __init__(self, api: GitHub, repository: str, files: list[dict[str, Any]], tree: list[dict[str, Any]]) -> None:
        self._api = api
        self._repository = repository
        self._entries = {entry["path"]: entry for entry in tree if entry["type"] != "tree"}
        if refused := [path for path in self._entries if not is_plain(path)]:
            raise TargetError(f"the pull request holds the path {printable(refused[0])!r}, which git refuses")
        removed = {file["filename"] for file in files if file["status"] == "removed"}
        self.changed = frozenset(file["filename"] for file in files) - removed
        renamed = {file["previous_filename"] for file in files if file["status"] == "renamed"}
        self.deleted = frozenset((removed | renamed) - self.changed)

    def below(self, folder: str) -> Iterator[str]:
        return (path for path in self._entries if path.startswith(f"{folder}/"))

    def file(self, path: str, shown: str) -> File:
        entry = self._entries[path]
        changed = path in self.changed
        if problem := SPECIAL_MODES.get(entry["mode"]):
            return unopened(shown, problem, changed=changed)
        return File(shown, int(entry["size"]), lambda: self._read(entry["sha"], shown), changed=changed)

    def _read(self, sha: str, shown: str) -> bytes:
        try:
            return self._api.blob(self._repository, sha)
        except TargetError as error:
            raise UnreadableFile(shown, str(error)) from error


def _refusal(error: HTTPError, name: str) -> TargetError:
    if error.code == 404:
        message = f"GitHub does not hold {name}, or does not show it without a token that may read it"
        return TargetError(message, hint="for a private repository, set GITHUB_TOKEN")
    if error.code == 401:
        return TargetError("GitHub does not accept the token in GITHUB_TOKEN or GH_TOKEN")
    if error.code == 429 or error.headers.get("X-RateLimit-Remaining") == "0":
        reset = error.headers.get("X-RateLimit-Reset", "")
        until = f" until {datetime.fromtimestamp(int(reset), UTC):%H:%M} UTC" if reset.isdecimal() else ""
        return TargetError(f"GitHub's rate limit is used up{until}", hint="a token in GITHUB_TOKEN has a higher one")
    return TargetError(f"GitHub answered {error.code} {error.reason} for {name}")
