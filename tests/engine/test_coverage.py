"""How much of the validation stream is scored."""

from __future__ import annotations

import pytest

from pgaudit.engine.queries import capped
from tests.engine.support import score_of, walked

EVALUATE = """
for j in range(100):
    total += F.cross_entropy(net(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
"""


def most_tokens(cut: str, evaluate: str = EVALUATE, **environment: str) -> int | None:
    """The cap of the reported score, if there is one."""
    seen = walked(cut + evaluate, environment)
    found = capped(seen, score_of(seen))
    return found.tokens if found else None


@pytest.mark.parametrize(
    "cut,tokens",
    [
        ("val = val[:65536]\n", 65536),
        ("if len(val) > 65536:\n    val = val[:65536]\n", 65536),
        ("val = val[:65536][:1024]\n", 1024),
        ("val = val[1000:3000]\n", 2000),
        ('val = val[: int(os.environ.get("LIMIT", "4096"))]\n', 4096),
        ("val = val[1:]\n", None),
        ("val = val[: len(val) // 64 * 64 + 1]\n", None),
        ("", None),
    ],
    ids=["cut", "if longer", "twice", "middle", "setting", "shift", "whole windows", "whole"],
)
def test_a_stream_that_was_cut(cut: str, tokens: int | None) -> None:
    assert most_tokens(cut) == tokens


def test_the_windows_of_a_loop_are_no_cut() -> None:
    windows = """
    start = 0
    while start < len(val) - 64:
        window = val[start : start + 65]
        total += F.cross_entropy(net(window[:-1]), window[1:], reduction="sum")
        start += 64
    """
    assert most_tokens("", windows) is None


def test_a_setting_of_the_run_decides() -> None:
    cut = 'limit = int(os.environ.get("LIMIT", "0"))\nif limit:\n    val = val[:limit]\n'
    assert most_tokens(cut) is None
    assert most_tokens(cut, LIMIT="2048") == 2048


def test_one_part_that_is_cut_is_no_subset() -> None:
    first = """
    total += F.cross_entropy(net(val[0:1024]), val[1:1025], reduction="sum")
    for j in range(16, 100):
        total += F.cross_entropy(net(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
    """
    halves = """
    one, two = val[:20000], val[20000:]
    total += F.cross_entropy(net(one[:-1]), one[1:], reduction="sum") + F.cross_entropy(net(two[:-1]), two[1:], reduction="sum")
    """
    assert most_tokens("", first) is None
    assert most_tokens("", halves) is None


@pytest.mark.parametrize(
    "cut,always", [("val = val[:2048]\n", True), ("if len(val) > 2048:\n    val = val[:2048]\n", False)]
)
def test_whether_a_branch_leaves_it_whole(cut: str, always: bool) -> None:
    seen = walked(cut + EVALUATE)
    found = capped(seen, score_of(seen))
    assert found
    assert found.always is always
