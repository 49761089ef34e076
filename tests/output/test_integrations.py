"""The formats that other programs read: golden on the example, by their schemas and limits, and deaf to hostile text."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Validator
from markdown_it import MarkdownIt
from syrupy.assertion import SnapshotAssertion

import pgaudit
from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.collect import collect
from pgaudit.finding import Confidence, Finding, Location, Severity
from pgaudit.output import ReportFormat, render, sarif
from pgaudit.output.github import MOST_PER_TYPE
from pgaudit.output.summary import MOST_BYTES
from pgaudit.report import FailOn, Report
from tests.output.hostile import TEXTS, report_of
from tests.support import EXAMPLE

INTEGRATIONS = [ReportFormat.SARIF, ReportFormat.GITHUB, ReportFormat.RDJSONL, ReportFormat.JUNIT, ReportFormat.SUMMARY]
COMMAND = re.compile(r"::(error|warning|notice) [^:\n]*::[^\n]*")


@pytest.fixture(scope="module")
def example() -> Report:
    """The audit of the example submission, without what changes with every rule."""
    made = audit(collect(str(EXAMPLE)), rulebook.load(), policy.load())
    folders = (replace(folder, outcomes=dict(list(folder.outcomes.items())[:2])) for folder in made.submissions)
    return replace(made, version="0.0.0", rulebook="0123456789ab", submissions=tuple(folders))


@pytest.mark.parametrize("style", INTEGRATIONS)
def test_golden(example: Report, style: ReportFormat, snapshot: SnapshotAssertion) -> None:
    assert render(example, style) == snapshot


@pytest.mark.parametrize("style", INTEGRATIONS)
@given(text=st.text(), layer=st.sampled_from(["", "base85 → lzma"]))
def test_any_text_can_be_reported(style: ReportFormat, text: str, layer: str) -> None:
    assert render(report_of(text, layer=layer), style).endswith("\n")


# SARIF


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("layer", ["", "base85 → lzma"])
@pytest.mark.parametrize("known", [None, True])
def test_sarif_is_valid(text: str, layer: str, known: bool | None, sarif_schema: Validator) -> None:
    assert_valid(report_of(text, layer=layer, known=known), sarif_schema)


def test_sarif_of_the_example_is_valid(example: Report, sarif_schema: Validator) -> None:
    assert_valid(example, sarif_schema)
    (result,) = results(example)
    assert len(result["codeFlows"][0]["threadFlows"][0]["locations"]) == 4


def test_the_schema_refuses_what_is_no_sarif(example: Report, sarif_schema: Validator) -> None:
    document = json.loads(render(example, ReportFormat.SARIF))
    document["runs"][0]["results"][0]["level"] = "illegal"
    assert not sarif_schema.is_valid(document)


def test_every_rule_has_help_within_the_limits(example: Report) -> None:
    rules = {entry.rule.id: entry.rule for entry in rulebook.load()}
    (run,) = json.loads(render(replace(example, rules=rules), ReportFormat.SARIF))["runs"]
    described = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == sorted(rules)
    for rule in described:
        assert "## How to fix" in rule["help"]["markdown"]
        assert rule["helpUri"].startswith(pgaudit.HOMEPAGE)
        assert len(rule["properties"]["tags"]) <= 20
        assert max(len(rule[key]["text"]) for key in ("shortDescription", "fullDescription")) <= 1024
        assert (rulebook.rules_directory() / rule["helpUri"].partition("/rules/")[2]).is_file()


def test_sarif_points_into_the_file_as_shipped() -> None:
    script = Location("train_gpt.py", 812, "base85 → lzma", "loss.backward()", payload_line=2)
    packed = one_finding("the script shouts", script)
    (result,) = results(packed)
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert "line 812 of train_gpt.py (base85 → lzma): loss.backward()" in result["message"]["text"]
    (whole,) = results(one_finding("a file is missing", Location("a b/größe#1.log")))
    place = whole["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "records/x/a%20b/gr%C3%B6%C3%9Fe%231.log", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 1}


@pytest.mark.parametrize("text", TEXTS)
def test_sarif_messages_are_deaf_to_hostile_text(text: str) -> None:
    for message in messages(json.loads(render(report_of(text), ReportFormat.SARIF))):
        assert not re.search(r"\]\(|@openai|#1|https://evil|[\x00-\x1f\u202e]", message)


def test_sarif_keeps_the_strongest_within_the_limits() -> None:
    weak = replace(report_of("quiet").submissions[0].findings[0], severity=Severity.NOTE, dormant="", steps=())
    strong = replace(weak, severity=Severity.ERROR, message="loud")
    big = many(weak, 6_000, strong)
    kept = results(big)
    assert len(kept) == sarif.MOST_RESULTS
    assert kept[0]["message"]["text"].startswith("loud")
    (note, *_) = json.loads(render(big, ReportFormat.SARIF))["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("1001 findings are left out")


def test_sarif_stays_below_the_size_that_is_taken() -> None:
    finding = report_of("x").submissions[0].findings[0]
    step = replace(finding.steps[0], message="é" * 300)
    text = render(many(replace(finding, steps=(step,) * 1_200), 300), ReportFormat.SARIF)
    assert len(gzip.compress(text.encode())) < 10_000_000
    assert len(text) < 10_000_000
    result = json.loads(text)["runs"][0]["results"][0]
    assert len(result["codeFlows"][0]["threadFlows"][0]["locations"]) == sarif.MOST_STEPS


# GitHub's workflow commands


@pytest.mark.parametrize("text", TEXTS)
def test_annotations_say_nothing_but_what_they_are_to_say(text: str) -> None:
    lines = render(report_of(text), ReportFormat.GITHUB).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::warning", "::warning", "::warning", "pgaudit:"]
    assert all(COMMAND.fullmatch(line) for line in lines[:-1])
    properties = lines[0].removeprefix("::error ").partition("::")[0].split(",")
    assert [name.partition("=")[0] for name in properties] == ["file", "line", "title"]
    assert not re.search(r"%0A|%0D", "".join(lines))


def test_ten_annotations_of_a_type_and_a_count_of_the_rest() -> None:
    lines = render(report_of("loud", findings=25), ReportFormat.GITHUB).splitlines()
    assert sum(line.startswith("::error ") for line in lines) == MOST_PER_TYPE
    assert "pgaudit: 15 more of type error are in the other formats of this report" in lines


def test_what_is_known_is_only_noticed() -> None:
    assert render(report_of("loud", known=True), ReportFormat.GITHUB).startswith("::notice ")
    assert render(report_of("loud", known=True), ReportFormat.RDJSONL) == ""


# reviewdog


@pytest.mark.parametrize("text", TEXTS)
def test_a_diagnostic_per_line_that_is_deaf_to_hostile_text(text: str) -> None:
    (line,) = render(report_of(text), ReportFormat.RDJSONL).splitlines()
    diagnostic = json.loads(line)
    assert set(diagnostic) == {"message", "location", "severity", "source", "code"}
    assert (diagnostic["severity"], diagnostic["location"]["range"]) == ("ERROR", {"start": {"line": 3}})
    tokens = MarkdownIt("commonmark").parse(diagnostic["message"])
    inline = [child for token in tokens for child in token.children or []]
    assert not {child.type for child in inline} & {"link_open", "image", "html_inline"}
    assert not {token.type for token in tokens} & {"html_block", "heading_open"}
    assert "@openai" not in "".join(child.content for child in inline if child.type == "text")


# JUnit


@pytest.mark.parametrize("text", TEXTS)
def test_junit_is_xml_with_the_cases_that_it_is_to_have(text: str) -> None:
    root = ElementTree.fromstring(render(report_of(text), ReportFormat.JUNIT))
    (suite,) = root
    assert [[result.tag for result in case] for case in suite] == [["failure"], ["skipped"], ["error"], ["skipped"], []]
    counted = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "5", "failures": "1", "errors": "1", "skipped": "2"}


def test_junit_fails_what_the_run_fails() -> None:
    assert failures(report_of("loud"), FailOn.ERROR) == 1
    assert failures(report_of("loud"), FailOn.NEVER) == 0
    assert failures(report_of("loud", known=True), FailOn.NOTE) == 0


# The step summary


@pytest.mark.parametrize("text", TEXTS)
def test_the_summary_keeps_its_tables(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(render(report_of(text), ReportFormat.SUMMARY))
    assert [sum(token.type == kind for token in tokens) for kind in ("table_open", "tr_open")] == [2, 4]
    assert sum(token.type == "td_open" for token in tokens) == 5 + 4
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "strong_open", "strong_close", "softbreak"}


def test_the_summary_is_cut_before_its_limit() -> None:
    text = render(report_of("ü" * 2_000, findings=2_000), ReportFormat.SUMMARY)
    assert len(text.encode()) <= MOST_BYTES
    assert "more rows are in the other formats" in text


def assert_valid(report: Report, schema: Validator) -> None:
    document = json.loads(render(report, ReportFormat.SARIF))
    assert [error.message for error in schema.iter_errors(document)] == []
    assert document["runs"][0]["results"]


def results(report: Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(render(report, ReportFormat.SARIF))["runs"][0]["results"]
    return found


def messages(value: Any) -> list[str]:
    """Every text that a viewer shows as a message."""
    if isinstance(value, list):
        return [text for entry in value for text in messages(entry)]
    if isinstance(value, dict):
        own = [value["message"]["text"]] if "message" in value else []
        return own + [text for key, entry in value.items() if key != "message" for text in messages(entry)]
    return []


def one_finding(message: str, place: Location) -> Report:
    finding = Finding("voice/shout", "shouting", "illegal", Severity.ERROR, Confidence.HIGH, message, place)
    return many(finding, 1, folder="records/x")


def many(finding: Finding, number: int, *others: Finding, folder: str = "records/x") -> Report:
    report = report_of("x")
    return replace(
        report, submissions=(replace(report.submissions[0], folder=folder, findings=(finding,) * number + others),)
    )


def failures(report: Report, fail_on: FailOn) -> int:
    return render(report, ReportFormat.JUNIT, fail_on=fail_on).count("<failure ")
