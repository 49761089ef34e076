"""The rulebook itself: every example of every rule, and what every rule owes its readers."""

from __future__ import annotations

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.examples import Section, check, contract, sections
from tests.support import submission

BOOK = rulebook.load()


@pytest.mark.parametrize("section", sections(BOOK), ids=lambda section: f"{section.place} {section}")
def test_example(section: Section) -> None:
    assert check(section, BOOK) == []


def test_every_rule_has_examples_of_every_sign() -> None:
    assert contract(BOOK) == []


PART = b"val_tokens: 1048576\nfinal val_loss:2.06120413 val_bpb:1.22075880\n"


@pytest.mark.parametrize(
    "folder,claimed,decides",
    [
        ("records/track_10min_16mb/2026-04-01_Run", True, True),
        ("records/track_10min_16mb/2026-04-01_Run", False, False),
        ("records/track_non_record_16mb/2026-04-01_Run", True, False),
    ],
    ids=["record", "no claim", "non-record"],
)
def test_a_part_of_the_validation_text_is_no_record(folder: str, claimed: bool, decides: bool) -> None:
    files = {"train.log": PART, "submission.json": b'{"val_bpb": 1.2207588}' if claimed else b"{}"}
    book = rulebook.Rulebook(BOOK.directory, tuple(entry for entry in BOOK if entry.rule.id == "validation/subset"))
    (report,) = audit(submission("print()\n", files, folder), book, policy.load()).submissions
    assert [finding.decides for finding in report.findings] == [decides]
