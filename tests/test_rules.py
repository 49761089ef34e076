"""The rulebook itself: every example of every rule, and what every rule owes its readers."""

from __future__ import annotations

import pytest

from pgaudit import rulebook
from pgaudit.examples import Section, check, contract, sections

BOOK = rulebook.load()


@pytest.mark.parametrize("section", sections(BOOK), ids=lambda section: f"{section.place} {section}")
def test_example(section: Section) -> None:
    assert check(section, BOOK) == []


def test_every_rule_has_examples_of_every_sign() -> None:
    assert contract(BOOK) == []
