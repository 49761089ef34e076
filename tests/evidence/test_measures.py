"""The numbers that a report holds against the limits."""

from __future__ import annotations

import json

from pgaudit import policy
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.measures import measures
from tests.support import submission


def measured(**files: str) -> dict[str, tuple[float, str]]:
    content = {path.replace("__", "."): text.encode() for path, text in files.items()}
    (only,) = submission("print(1)\n", content).submissions
    found = measures(Evidence(only, policy.load().edition_at(None)))
    return {each.limit: (each.value, str(each.location)) for each in found}


def log(seed: int, bpb: float, seconds: int) -> str:
    lines = [f"seed:{seed}", "step:20/20 train_loss:2.0", f"step:20/20 train_time:{seconds}000ms"]
    lines += ["Total submission size int8+zlib: 15000000 bytes", f"final val_loss:2.0 val_bpb:{bpb} eval_time:60000ms"]
    return "\n".join(lines) + "\n"


def test_the_largest_of_the_claimed_runs() -> None:
    claims = json.dumps({"val_bpb": 1.2, "seed_results": {"1": {"val_bpb": 1.2}, "2": {"val_bpb": 1.21}}})
    found = measured(
        a__log=log(1, 1.2, 590), b__log=log(2, 1.21, 595), trial__log=log(3, 1.5, 900), submission__json=claims
    )
    assert found["train_seconds"] == (595.0, "b.log:3")
    assert found["eval_seconds"][0] == 60.0
    assert found["artifact_bytes"] == (15_000_000, "a.log:4")
    assert found["seeds"][0] == 2


def test_the_author_s_own_size_where_no_log_prints_one() -> None:
    assert measured(submission__json='{"val_bpb": 1.2, "bytes_total": 15900000}')["artifact_bytes"][0] == 15_900_000


def test_nothing_where_nothing_is_said() -> None:
    assert measured() == {}
