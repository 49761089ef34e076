"""What is measured on real pull requests holds on the examples: valid SARIF, within the limits, stable fingerprints."""

from __future__ import annotations

from functools import partial

import pytest
from jsonschema_rs import Validator

import pgaudit.finding
from pgaudit import rulebook
from pgaudit.collect import collect
from pgaudit.examples import sections
from pgaudit.examples.checking import content, folder_of
from pgaudit.finding import Finding
from pgaudit.submission import Collected, File, Origin, Submission
from tests.accuracy import sarif
from tests.accuracy.folders import Auditor
from tests.accuracy.sarif import Tally
from tests.support import EXAMPLE, FOLDER

BOOK = rulebook.load()


@pytest.fixture(scope="module")
def auditor() -> Auditor:
    return Auditor.load()


@pytest.mark.parametrize("rule", [entry.rule.id for entry in BOOK])
def test_an_example_of_every_rule(rule: str, auditor: Auditor, sarif_schema: Validator) -> None:
    tally = Tally()
    sarif.measure(first_that_finds(rule), auditor, sarif_schema, tally)
    assert tally.faults == []
    assert tally.counts["findings"]


def test_the_example_submission(auditor: Auditor, sarif_schema: Validator) -> None:
    tally = Tally()
    sarif.measure(collect(str(EXAMPLE)), auditor, sarif_schema, tally)
    assert tally.faults == []
    assert (tally.counts["findings moved"], tally.counts["findings mended"]) == (1, 1)


def test_a_fingerprint_of_the_line_number_is_caught(
    auditor: Auditor, sarif_schema: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_line(finding: Finding) -> str:
        return f"{finding.rule}:{finding.location.line}"

    monkeypatch.setattr(pgaudit.finding, "fingerprint", by_line)
    tally = Tally()
    sarif.measure(collect(str(EXAMPLE)), auditor, sarif_schema, tally)
    assert any("moved, and lost: ngram/target-in-key" in fault for fault in tally.faults)


def test_what_is_above_a_limit_is_caught(
    auditor: Auditor, sarif_schema: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sarif.LIMITS, "steps", 3)
    tally = Tally()
    sarif.measure(collect(str(EXAMPLE)), auditor, sarif_schema, tally)
    assert [fault.endswith("4 steps") for fault in tally.faults] == [True]


def first_that_finds(rule: str) -> Collected:
    """The first example in which the rule finds something."""
    section = next(s for s in sections(BOOK, rule) if any(item.rule == rule for item in s.expected))
    data = {path: content(block) for path, block in sorted(folder_of(section).items())}
    files = {path: File(path, len(text), partial(bytes, text)) for path, text in data.items()}
    origin = Origin(section.place)
    return Collected(origin, (Submission(FOLDER, files, origin),))
