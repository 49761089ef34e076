"""A server that posters find by the environment, and a client without waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from pgaudit.review import github, posting
from tests.review.server import REPOSITORY, Server, running
from tests.review.support import SCRIPT

TOKEN = "secret-of-the-bot"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The pull request with a script of 100 lines, all in the diff."""
    with running() as server:
        server.add_file(SCRIPT, 100)
        for name, value in {
            "GITHUB_API_URL": server.address,
            "GITHUB_TOKEN": TOKEN,
            "no_proxy": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        for name in ("GITHUB_GRAPHQL_URL", "GITHUB_SERVER_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(github, "BETWEEN_WRITES", 0.0)
        monkeypatch.setattr(posting, "LOOK", 0.01)
        monkeypatch.setattr(posting, "PATIENCE", 0.2)
        stamina.set_testing(True, attempts=github.ATTEMPTS, cap=True)
        yield server
        stamina.set_testing(False)


@pytest.fixture
def api(server: Server) -> Iterator[github.GitHub]:
    """The pull request as the bot sees it."""
    with github.GitHub(REPOSITORY, 7) as api:
        yield api
