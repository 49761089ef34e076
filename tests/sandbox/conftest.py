"""The sandboxes of this machine."""

from __future__ import annotations

import os

import pytest

from pgaudit.sandbox import Backend
from pgaudit.sandbox.bubblewrap import Bubblewrap
from pgaudit.sandbox.finding import refusal
from tests.enclosed import sandbox_or_skip


@pytest.fixture(scope="session", params=["found", "user namespace"])
def sandbox(request: pytest.FixtureRequest) -> Backend:
    """The one that is found, and for root the other way too: as users without rights have it."""
    found = sandbox_or_skip()
    if request.param == "found":
        return found
    other = Bubblewrap(user_namespace=True)
    if os.getuid() != 0 or (why := refusal(other)):
        pytest.skip("is the one that is found" if os.getuid() else why)
    return other
