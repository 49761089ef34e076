"""Tokenizers of the tests are kept in a folder of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the probe looks for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGAUDIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield
