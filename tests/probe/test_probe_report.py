"""A probe beside what reading found: it decides, it overrules a suspicion, it never hides a proof."""

from __future__ import annotations

import json
from importlib import resources

import jsonschema
import pytest

from pgaudit import output, policy, rulebook
from pgaudit.audit import audit
from pgaudit.evidence.evidence import Evidence
from pgaudit.finding import Confidence, Finding, Location, Severity
from pgaudit.output import Format
from pgaudit.output.probing import render
from pgaudit.probe.probe import Probed
from pgaudit.probe.record import Condition, Measurement, Outcome, Site
from pgaudit.probe.report import with_probe
from pgaudit.probe.shrink import Change
from pgaudit.report import FolderReport, Report
from pgaudit.verdict import Level, Verdict, decide
from tests.support import submission

COLLECTED = submission("print('hello')\n")
EVIDENCE = Evidence(COLLECTED.submissions[0], policy.load().edition_at(None))
RULES = {entry.rule.id: entry.rule for entry in rulebook.load()}
SITE = Site("train_gpt.py", 1, "add", "loss_sum")
SUSPICION = Finding(
    "network/looks-ahead", "noncausal-model", "illegal", Severity.WARNING, Confidence.MEDIUM, "no mask is seen",
    Location("train_gpt.py", 1),
)  # fmt: skip
PROOF = Finding(
    "ttt/prequant",
    "prequant-ttt",
    "illegal",
    Severity.ERROR,
    Confidence.HIGH,
    "trains first",
    Location("train_gpt.py", 1),
)


def probed(**outcomes: Outcome) -> Probed:
    """All conditions hold but those that are named otherwise."""
    measured = [
        Measurement(condition, outcomes.get(condition.name.lower(), Outcome.HOLDS), "a fact", SITE, {"scores": 1024})
        for condition in Condition
    ]
    return Probed(tuple(measured), 9, 3.5, "final", (Change("MODEL_DIM", 512, 64, "an eighth"),), ("torch",))


def folder(*findings: Finding) -> FolderReport:
    return FolderReport(7, "records/x", decide(findings, ()), (), Level.CONSISTENT, findings)


def judged(found: FolderReport, **outcomes: Outcome) -> FolderReport:
    return with_probe(found, probed(**outcomes), EVIDENCE, RULES)


def test_a_violation_decides_at_its_line() -> None:
    report = judged(folder(), causal=Outcome.VIOLATED)
    assert (report.verdict, report.level, report.mechanisms) == (Verdict.ILLEGAL, Level.PROBED, ("noncausal-model",))
    (finding,) = report.findings
    assert (finding.rule, finding.location.line, finding.location.text) == ("probe/causal", 1, "print('hello')")


def test_reading_names_the_violation_if_it_can() -> None:
    report = judged(folder(PROOF), scored_first=Outcome.VIOLATED)
    assert report.mechanisms == ("prequant-ttt",)


def test_conditions_that_hold_overrule_a_suspicion_and_no_proof() -> None:
    assert folder(SUSPICION).verdict is Verdict.REVIEW
    overruled = judged(folder(SUSPICION))
    assert overruled.verdict is Verdict.CLEAN
    assert overruled.findings[0].facts["overruled"] == "C1 held when it was measured"
    assert judged(folder(SUSPICION), causal=Outcome.NOT_EXERCISED).verdict is Verdict.REVIEW
    assert judged(folder(PROOF)).verdict is Verdict.ILLEGAL


def test_what_was_not_judged_is_a_gap_and_leaves_the_level() -> None:
    report = judged(folder(), **dict.fromkeys(("causal", "normalised", "scored_first", "bytes"), Outcome.COULD_NOT_RUN))
    assert (report.verdict, report.level) == (Verdict.INCOMPLETE, Level.CONSISTENT)
    assert [gap.check for gap in report.gaps] == [
        "probe/causal",
        "probe/normalised",
        "probe/scored-first",
        "probe/bytes",
    ]


@pytest.fixture(scope="module")
def report() -> Report:
    return audit(COLLECTED, rulebook.load(), policy.load())


def test_the_document_follows_the_schema(report: Report) -> None:
    schema = json.loads(resources.files(output).joinpath("report.schema.json").read_text("utf-8"))
    own = {each.folder: probed(causal=Outcome.VIOLATED) for each in report.submissions}
    document = json.loads(render(report, own, Format.JSON, explain=False))
    jsonschema.validate(document, schema)
    assert document["submissions"][0]["probe"]["measurements"][0]["outcome"] == "violated"


def test_people_read_what_was_measured_and_under_what_conditions(report: Report) -> None:
    own = {each.folder: probed() for each in report.submissions}
    text = render(report, own, Format.TERMINAL, explain=True)
    for words in (
        "✓ C1 causal: holds",
        "a fact (summed in line 1)",
        "MODEL_DIM: 512 → 64, an eighth",
        "stood in for: torch",
    ):
        assert words in text
    assert "MODEL_DIM" not in render(report, own, Format.TERMINAL, explain=False)


def test_text_of_a_submission_stays_text(report: Report) -> None:
    hostile = Probed(probed().measurements, 1, 1.0, "<script>@ada|`", (Change("A|B\n# x", 2, 1, "half"),), ("<b>",))
    text = render(report, {each.folder: hostile for each in report.submissions}, Format.MARKDOWN, explain=False)
    assert "<script>" not in text
    assert "<b>" not in text
    assert "@ada" not in text
    assert "\n# x" not in text
