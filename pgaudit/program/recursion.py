"""Room for deep syntax: generated scripts chain thousands of operators, each a level of recursion."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

DEEP = 30_000
"""Python frames; pure Python calls take no C stack since CPython 3.11."""


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Raise the recursion limit for a while."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)
