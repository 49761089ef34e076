"""Policy editions: what is in force on a day, and what a malformed file is told."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pgaudit import policy
from pgaudit.errors import RulebookError
from pgaudit.rule import Strength

RULING = 'strength = "README"\nby = "ada"\ndate = "2026-01-01"\nwhere = "README"\nsays = "so"\n'
LIMITS = "".join(f"[edition.limits.{name}]\nwritten = 1\napplied = 2\n{RULING}" for name in policy.LIMITS)


def written(folder: Path, text: str) -> Path:
    path = folder / "editions.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_cap_is_decimal_in_every_edition() -> None:
    for edition in policy.load().editions:
        assert edition["artifact_bytes"].written == edition["artifact_bytes"].applied == 16_000_000


@pytest.mark.parametrize(
    "day,p_value", [(date(2020, 1, 1), 0.01), (date(2026, 4, 27), 0.01), (date(2026, 4, 28), 0.25), (None, 0.25)]
)
def test_the_edition_in_force_on_a_day(day: date | None, p_value: float) -> None:
    limit = policy.load().edition_at(day)["p_value"]
    assert limit.applied == p_value
    assert limit.written == 0.01


def test_the_grace_after_the_training_limit_rests_on_merges() -> None:
    limit = policy.load().edition_at(None)["train_grace_seconds"]
    assert (limit.applied, limit.written, limit.ruling.strength) == (0.2, 0.0, Strength.MERGE)


def test_an_edition_carries_over_what_it_does_not_change(tmp_path: Path) -> None:
    change = f"[[edition]]\nsince = 2026-02-01\n[edition.limits.seeds]\nwritten = 5\napplied = 5\n{RULING}"
    loaded = policy.load(written(tmp_path, f"[[edition]]\nsince = 2026-01-01\n{LIMITS}{change}"))
    assert loaded.edition_at(date(2026, 1, 31))["seeds"].applied == 2
    assert loaded.edition_at(date(2026, 2, 1))["seeds"].applied == 5
    assert loaded.edition_at(date(2026, 2, 1))["p_value"].applied == 2


@pytest.mark.parametrize(
    "text,says",
    [
        ("", r"no \[\[edition\]\]"),
        ("edition = 3 4", "editions.toml"),
        (f"[[edition]]\n{LIMITS}", "since = YYYY-MM-DD"),
        ("[[edition]]\nsince = 2026-01-01\n", "lacks artifact_bytes"),
        (f"[[edition]]\nsince = 2026-01-01\n{LIMITS}[[edition]]\nsince = 2026-01-01\n", "does not come after"),
        (f"[[edition]]\nsince = 2026-01-01\n{LIMITS}[edition.limits.luck]\nwritten = 1\n", "luck is not a limit"),
        (f"[[edition]]\nsince = 2026-01-01\n{LIMITS.replace('written = 1', 'written = -1', 1)}", "not negative"),
        (f"[[edition]]\nsince = 2026-01-01\n{LIMITS.replace('written = 1', 'written = nan', 1)}", "not negative"),
        (f"[[edition]]\nsince = 2026-01-01\n{LIMITS.replace('README', 'rumour', 1)}", "rumour"),
        (f"[[edition]]\nsince = 2026-01-01\n{LIMITS.replace('by = ', 'buy = ', 1)}", "by"),
    ],
)
def test_a_malformed_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RulebookError, match=says) as caught:
        policy.load(written(tmp_path, text))
    assert "editions.toml" in str(caught.value)


def test_a_missing_file_is_a_rulebook_error(tmp_path: Path) -> None:
    with pytest.raises(RulebookError, match="nowhere"):
        policy.load(tmp_path / "nowhere.toml")
