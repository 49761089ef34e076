"""The report as JUnit XML: a suite per record folder, a case per finding, per gap and per rule that found nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pgaudit.finding import Finding
from pgaudit.output.escape import plain
from pgaudit.output.wording import citation, sentence
from pgaudit.report import FailOn, FolderReport, Outcome, Report, reaches


def render(report: Report, *, fail_on: FailOn = FailOn.ERROR) -> str:
    """Findings at or above ``fail_on`` are failures, crashed rules errors, and what was not decided is skipped."""
    suites = Element("testsuites", name="pgaudit")
    for folder in report.submissions:
        suite = SubElement(suites, "testsuite", name=plain(folder.folder))
        suite.extend(_cases(report, folder, fail_on))
        results = Counter(result.tag for case in suite for result in case)
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(results["failure"]))
        suite.set("errors", str(results["error"]))
        suite.set("skipped", str(results["skipped"]))
    indent(suites)
    return tostring(suites, "unicode", xml_declaration=True) + "\n"


def _cases(report: Report, folder: FolderReport, fail_on: FailOn) -> Iterator[Element]:
    for finding in folder.findings:
        case = _case(folder, f"{finding.rule} at {finding.location}")
        tag = "failure" if reaches(finding, fail_on) else "system-out"
        result = SubElement(case, tag)
        if tag == "failure":
            result.set("type", finding.rule)
            result.set("message", plain(finding.message))
        result.text = "\n".join(map(plain, _explanation(report, finding)))
        yield case
    for gap in folder.gaps:
        case = _case(folder, f"{gap.check} at {gap.location}" if gap.location else gap.check)
        crashed = folder.outcomes.get(gap.check) is Outcome.CRASHED
        SubElement(case, "error" if crashed else "skipped", message=plain(gap.reason))
        yield case
    for rule, outcome in sorted(folder.outcomes.items()):
        if outcome is Outcome.CLEAN:
            yield _case(folder, rule)


def _case(folder: FolderReport, name: str) -> Element:
    return Element("testcase", classname=plain(folder.folder), name=plain(name))


def _explanation(report: Report, finding: Finding) -> Iterator[str]:
    rule = report.rules.get(finding.rule)
    yield sentence(finding, rule)
    yield f"{finding.location}: {finding.location.text}"
    yield from (f"{number}. {step.location}: {step.message}" for number, step in enumerate(finding.steps, 1))
    yield from (f"ruling: {citation(ruling)}" for ruling in (rule.rulings if rule else ()))
