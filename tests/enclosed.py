"""Tests that need a sandbox: skipped where none works, and a failure where one has to."""

from __future__ import annotations

import os

import pytest

from pgaudit.sandbox import Backend, SandboxUnavailable, find

REQUIRED = "PGAUDIT_REQUIRE_SANDBOX"
"""Set to 1, it makes a missing sandbox a failure: a build must not pass because its tests were skipped."""


def sandbox_or_skip() -> Backend:
    """A sandbox that works on this machine."""
    try:
        return find()
    except SandboxUnavailable as problem:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, but {problem}")
        pytest.skip(str(problem))
