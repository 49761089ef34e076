"""A finding keeps its fingerprint when what surrounds it changes, and loses it when it is another finding."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgaudit.finding import Confidence, Finding, Location, Severity
from pgaudit.fingerprint import fingerprint_in, numbered
from pgaudit.report import Report

SCRIPT = "import torch\nprint('SHOUT')\nif torch:\n    print('SHOUT')\n    print('GRUNT')\nprint('SHOUT again')\n"


def prints(report: Report) -> set[str]:
    found = [finding.fingerprint for finding in report.findings]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "#\n" * 50 + text,
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("    ", "\t\t"),
        lambda text: text.replace("SHOUT again", "SHOUT \t again"),
    ],
    ids=["moved", "spaced", "indented", "blanks"],
)
def test_moving_and_indenting_changes_no_fingerprint(judge: Callable[..., Report], edit: Callable[[str], str]) -> None:
    assert prints(judge(edit(SCRIPT))) == prints(judge(SCRIPT))


@pytest.mark.parametrize(
    "gone", ["print('SHOUT')\nif", "    print('SHOUT')\n", "    print('GRUNT')\n", "print('SHOUT again')\n"]
)
def test_fixing_one_finding_leaves_the_others(judge: Callable[..., Report], gone: str) -> None:
    before, after = (
        prints(judge(SCRIPT)),
        prints(judge(SCRIPT.replace(gone, gone.replace("SHOUT", "x").replace("GRUNT", "y"), 1))),
    )
    assert after < before
    assert len(after) == len(before) - 1


def test_another_line_is_another_finding(judge: Callable[..., Report]) -> None:
    assert not prints(judge("print('SHOUT')\n")) & prints(judge("print('SHOUT!')\n"))


def test_packing_otherwise_changes_no_fingerprint() -> None:
    assert at("base85 → lzma", 12).fingerprint == at("base64 → zlib", 14).fingerprint == at("", 3).fingerprint


def test_equal_lines_are_counted_from_above() -> None:
    findings = [at("", 30), at("", 10), at("", 20)]
    assert [(f.location.line, f.occurrence) for f in numbered(findings)] == [(30, 2), (10, 0), (20, 1)]
    assert len({f.fingerprint for f in numbered(findings)}) == 3


def test_copies_of_a_folder_are_told_apart() -> None:
    assert fingerprint_in("records/a", at("", 1)) != fingerprint_in("records/b", at("", 1))


def at(layer: str, line: int) -> Finding:
    place = Location("train_gpt.py", line, layer, "x = 1")
    return Finding("voice/shout", "shouting", "illegal", Severity.ERROR, Confidence.HIGH, "loud", place)
