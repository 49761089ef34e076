"""A report that comes from somewhere else: what it has to be before anything is posted."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgaudit import policy
from pgaudit.audit import audit
from pgaudit.collect import collect
from pgaudit.errors import ReportError
from pgaudit.output import json as json_report
from pgaudit.output.json import document as as_document
from pgaudit.review.reading import read, report_of
from pgaudit.waivers import Waiver, Waivers
from tests.review.support import BOOK, document, finding, report, write
from tests.support import EXAMPLE, FOLDER


def test_a_report_comes_back_as_it_was() -> None:
    waiver = Waiver("ngram/target-in-key", "a quotation", "ada", date(2099, 12, 31), folder="*")
    for waivers in (Waivers(), Waivers(active=(waiver,))):
        written = as_document(audit(collect(str(EXAMPLE)), BOOK, policy.load(), waivers))
        again = as_document(report_of(written, BOOK, "here"))
        written["rules"] = again["rules"] = {}
        assert again == written


def test_equal_lines_keep_their_fingerprints_and_what_is_known_stays_so() -> None:
    made = report(finding(9, text="x"), finding(3, text="x"), finding(5, known=True))
    (folder,) = report_of(document(made), BOOK, "here").submissions
    assert folder.findings == made.submissions[0].findings
    assert [each.occurrence for each in folder.findings] == [1, 0, 0]
    assert [each.known for each in folder.findings] == [None, None, True]


def changed(change: Callable[[Any], object]) -> dict[str, object]:
    made = document(report(finding(3)))
    change(made)
    return made


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: d.pop("tool"), "the whole document"),
        (lambda d: d.update(extra=1), "the whole document"),
        (lambda d: d["tool"].update(rulebook="another"), "made by rulebook another"),
        (lambda d: d["tool"].update(edition="2026-13-40"), "tool/edition"),
        (lambda d: d["target"].update(date="yesterday"), "target/date"),
        (lambda d: d["target"].update(pr="7"), "target/pr"),
        (lambda d: d.update(submissions=[]), "submissions"),
        (lambda d: d["submissions"][0].update(verdict="clean"), "its findings and gaps lead to illegal"),
        (lambda d: d["submissions"][0].update(findings=[]), "its findings and gaps lead to clean"),
        (lambda d: d["submissions"][0]["findings"][0].update(rule="@ada/x"), "findings/0/rule"),
        (lambda d: d["submissions"][0]["findings"][0]["location"].update(line=0), "location/line"),
        (lambda d: d["submissions"][0]["findings"][0].update(fingerprint="0" * 16), "the fingerprint is not that of"),
        (lambda d: d["submissions"][0].pop("measures"), "submissions/0"),
        (
            lambda d: d["submissions"][0].update(measures=[{"limit": "x", "value": "1e999", "location": None}]),
            "measures/0",
        ),
    ],
)
def test_a_report_that_is_none(change: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        report_of(changed(change), BOOK, "report.json")


def test_titles_and_rulings_are_those_of_the_rulebook() -> None:
    made: Any = document(report(finding(3)))
    made["rules"]["ngram/target-in-key"]["title"] = "allowed by everybody"
    made["rules"]["ngram/target-in-key"]["rulings"] = []
    rule = report_of(made, BOOK, "here").rules["ngram/target-in-key"]
    assert rule.title != "allowed by everybody"
    assert rule.rulings


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\xff", "7", "null", '{"a": NaN}'])
def test_a_file_that_is_no_report(tmp_path: Path, text: str) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ReportError, match=r"report\.json"):
        read(file, BOOK)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReportError, match="No such file"):
        read(tmp_path / "report.json", BOOK)
    monkeypatch.setattr(json_report, "MOST_BYTES", 10)
    with pytest.raises(ReportError, match="larger than 10 bytes"):
        read(write(report(), tmp_path / "report.json"), BOOK)


VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just([]) | st.just({})
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in items for place in places(each, (*path, key)))]


WHOLE = document(report(finding(3), finding(None, path="x.bin")))
WHOLE["submissions"][0]["outcomes"] = {"ngram/target-in-key": "fired"}  # type: ignore[index]
WHOLE["rules"] = {}


@given(st.sampled_from(places(WHOLE)[1:]), VALUES)
@settings(max_examples=300)
def test_a_report_with_anything_in_it_is_read_or_refused(place: tuple[Any, ...], value: object) -> None:
    made = json.loads(json.dumps(WHOLE))
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with suppress(ReportError):
        report_of(made, BOOK, FOLDER)
