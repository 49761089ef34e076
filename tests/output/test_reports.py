"""The reports on one audit: golden, by the schema, and deaf to hostile text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from importlib import resources

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from syrupy.assertion import SnapshotAssertion

from pgaudit import output
from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.output import Format, ReportFormat, render
from pgaudit.output.json import value
from pgaudit.output.jsonl import line
from pgaudit.report import FolderReport, Report
from pgaudit.submission import Origin
from pgaudit.verdict import Level, Verdict
from pgaudit.waivers import Waiver, Waivers

SCRIPT = "import torch\nprint('SHOUT', 'a line that is longer than the page is wide', 'and goes on, as lines of scripts do')\nprint('MUMBLE')\nprint('HUM')\nprint('SILENCE')\nprint('GRUNT')\n"
WAIVERS = Waivers(
    active=(
        Waiver(
            "voice/mumble", "heard it", "ada", date(2026, 12, 31), folder="records/*", fingerprint="4ab357bd14948f98"
        ),
        Waiver("voice/shout", "a quotation", "ada", date(2026, 12, 31), pr=8),
    ),
    expired=(Waiver("voice/shout", "an old one", "bob", date(2026, 1, 31), pr=7),),
)
SCHEMA = json.loads(resources.files(output).joinpath("report.schema.json").read_text("utf-8"))


@pytest.fixture
def report(judge: Callable[..., Report]) -> Report:
    """A finding of every kind, a gap, a waived finding, an unused and an expired waiver."""
    made = judge(SCRIPT, WAIVERS)
    return Report(
        version="0.0.0",
        rulebook="0123456789ab",
        edition="2026-03-18",
        origin=made.origin,
        submissions=made.submissions,
        rules=made.rules,
        outside=("README.md", "data/other.py"),
        deleted=("old.py",),
        unused_waivers=made.unused_waivers,
        expired_waivers=made.expired_waivers,
    )


@pytest.mark.parametrize("style", list(Format))
@pytest.mark.parametrize("explain", [False, True], ids=["brief", "explain"])
def test_golden(report: Report, style: Format, explain: bool, snapshot: SnapshotAssertion) -> None:
    assert render(report, ReportFormat(style), explain=explain) == snapshot


def test_json_follows_its_schema(report: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(render(report, ReportFormat.JSON))
    jsonschema.validate(document, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert list(document["submissions"][0])[:6] == ["pr", "folder", "verdict", "mechanisms", "level", "findings"]


def test_a_line_of_a_sweep_begins_with_the_keys_of_a_verdict(report: Report) -> None:
    text = line(report.submissions[0])
    assert text.count("\n") == 1
    assert list(json.loads(text))[:5] == ["pr", "folder", "verdict", "mechanisms", "level"]


def test_colour_is_for_terminals(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in render(report, ReportFormat.TERMINAL)
    assert "\x1b[" in render(report, ReportFormat.TERMINAL, interactive=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in render(report, ReportFormat.TERMINAL, interactive=True)


def test_a_pipe_is_a_hundred_columns_wide(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = render(report, ReportFormat.TERMINAL)
    monkeypatch.setenv("COLUMNS", "40")
    assert render(report, ReportFormat.TERMINAL) == wide
    assert max(map(len, wide.splitlines())) <= 100


@pytest.mark.parametrize(
    "text", ["\x1b[2Jwiped", "[bold]loud[/bold]", "](http://evil) @openai #1", "```\n# heading", "\u202egnp.exe"]
)
def test_hostile_text_has_no_effect(text: str) -> None:
    hostile = _report(text)
    terminal = render(hostile, ReportFormat.TERMINAL, explain=True)
    assert "\x1b" not in terminal
    assert "\u202e" not in terminal
    if text.startswith("[bold]"):
        assert text in terminal
    tokens = MarkdownIt("commonmark").parse(render(hostile, ReportFormat.MARKDOWN, explain=True))
    inline = [child for token in tokens for child in token.children or []]
    assert [token.content for token in tokens if token.type == "heading_open" and token.tag != "h3"] == []
    assert not {child.type for child in inline} & {"link_open", "image"}
    assert "@openai" not in "".join(child.content for child in inline if child.type == "text")
    assert render(hostile, ReportFormat.JSON).isascii()


@given(st.text(), st.sampled_from(ReportFormat))
def test_any_text_can_be_reported(text: str, style: ReportFormat) -> None:
    assert render(_report(text), style, explain=True).endswith("\n")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(), st.lists))
def test_any_fact_is_a_json_value(fact: object) -> None:
    assert json.loads(json.dumps(value({"fact": fact}), allow_nan=False)).keys() == {"fact"}


def _report(text: str) -> Report:
    """A report in which every text that a submitter controls is ``text``."""
    place = Location(text, 3, text, text)
    finding = Finding(
        "voice/shout",
        "shouting",
        "illegal",
        Severity.ERROR,
        Confidence.HIGH,
        text,
        place,
        (Step(place, text),),
        {"fact": text},
    )
    folder = FolderReport(
        7, text, Verdict.ILLEGAL, ("shouting",), Level.CLAIMED, (finding,), (Gap(text, text, place),), head="0" * 40
    )
    return Report("0.0.0", "0123456789ab", "2026-03-18", Origin(text), (folder,), {}, outside=(text,), deleted=(text,))
