"""Claims beside what the logs and files show."""

from __future__ import annotations

import json

import pytest

from pgaudit.card.facts import Comparison
from tests.card.support import card

LOG = """\
seed:{seed}
step:100/100 val_loss:2.1000 val_bpb:1.3000 train_time:599000ms
Code size: 10 bytes
Total submission size int8+zlib: {size} bytes
final_roundtrip val_loss:{loss} val_bpb:{bpb} eval_time:9000ms
"""
LOGS = {
    "a.log": LOG.format(seed=1, size=1000, loss=2.0, bpb=1.2000),
    "b.log": LOG.format(seed=2, size=1010, loss=2.1, bpb=1.2100),
}


def rows(claims: dict[str, object], files: dict[str, str] | None = None) -> dict[tuple[str, str | None], Comparison]:
    shipped = {"submission.json": json.dumps(claims), **(LOGS if files is None else files)}
    return {(row.name, row.seed): row for row in card("print()\n", shipped).comparisons}


def test_a_mean_over_the_seeds() -> None:
    found = rows(
        {"val_bpb": 1.205, "val_loss": 2.05, "seed_results": {"1": {"val_bpb": 1.2}, "2": {"val_bpb": 1.3333}}}
    )
    assert found["val_bpb", None].agrees
    assert found["val_loss", None].agrees
    assert found["val_bpb", "1"].agrees
    assert found["val_bpb", "2"].agrees is False
    assert str(found["val_bpb", "1"].found.places[0]) == "a.log:5"  # type: ignore[union-attr]  # found, or the test fails


@pytest.mark.parametrize(
    "claims, name, agrees",
    [
        ({"bytes_total": 1010}, "bytes_total", True),
        ({"bytes_total": "1,005"}, "bytes_total", True),
        ({"bytes_total": 999}, "bytes_total", False),
        ({"bytes_code": 8}, "bytes_code", True),
        ({"bytes_code": 9}, "bytes_code", False),
        ({"train_seconds": 599}, "train_seconds", True),
        ({"train_time_ms": 580000}, "train_ms", False),
        ({"eval_seconds": 9.4}, "eval_seconds", True),
        ({"steps": 100}, "steps", True),
        ({"steps": 7000}, "steps", False),
        ({"seeds": [1, 2]}, "seeds", True),
        ({"seeds": [1, 3]}, "seeds", False),
    ],
)
def test_a_claim(claims: dict[str, object], name: str, agrees: bool) -> None:
    assert rows({"val_bpb": 1.205, **claims})[name, None].agrees is agrees


def test_what_no_file_shows_is_neither_right_nor_wrong() -> None:
    row = rows({"val_bpb": 1.2}, {})["val_bpb", None]
    assert (row.found, row.agrees) == (None, None)


def test_a_claim_that_is_no_number_is_left_out() -> None:
    assert ("val_bpb", None) not in rows({"val_bpb": "good"})


def test_without_submission_json_there_is_nothing_to_compare() -> None:
    assert card("print()\n").comparisons == ()
