"""The sandbox of this machine."""

from __future__ import annotations

import pytest

from pgaudit.sandbox import Backend
from tests.enclosed import sandbox_or_skip


@pytest.fixture(scope="session")
def sandbox() -> Backend:
    """One that works, or the test is skipped."""
    return sandbox_or_skip()
