"""The leaderboard as data."""

from __future__ import annotations

from datetime import date

from pgaudit.standings import leaderboard, record_before


def test_the_record_of_a_day() -> None:
    standing = record_before(date(2026, 3, 20), 1.10, None)
    assert standing
    assert (standing.val_bpb, standing.author) == (1.1556, "aquariouseworkman")
    assert record_before(date(2026, 3, 18), 1.10, None) is None


def test_a_submission_is_not_held_against_its_own_row() -> None:
    by_number = record_before(date(2026, 5, 3), 1.05, 1855)
    by_score = record_before(date(2026, 5, 3), 1.06108, None)
    assert by_number
    assert by_number == by_score
    assert by_number.val_bpb == 1.0614


def test_rows_are_plausible() -> None:
    rows = leaderboard()
    assert all(1.0 < row.val_bpb < 1.3 for row in rows)
    assert list(rows) == sorted(rows, key=lambda row: row.date)
