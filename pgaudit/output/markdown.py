"""The report as GitHub Markdown, ready to be a comment on the pull request."""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.finding import Finding, Gap
from pgaudit.output import escape
from pgaudit.output.wording import BRIEF_STEPS, citation, consequence, made_by, summary
from pgaudit.report import FolderReport, Report


def render(report: Report, *, explain: bool = False) -> str:
    """The report; ``explain`` shows full traces and every ruling."""
    lines: list[str] = []
    for folder in report.submissions:
        lines += _folder(report, folder, explain)
    for label, paths in (("Outside every record folder", report.outside), ("Deleted", report.deleted)):
        if paths:
            lines += [f"{label}: {', '.join(escape.code(path) for path in paths)}", ""]
    for label, waivers in (("Unused", report.unused_waivers), ("Expired", report.expired_waivers)):
        lines += [f"{label} waiver: {escape.markdown(str(waiver))}\n" for waiver in waivers]
    return "\n".join([*lines, f"<sub>{summary(report)} · {escape.markdown(made_by(report))}</sub>", ""])


def _folder(report: Report, folder: FolderReport, explain: bool) -> Iterator[str]:
    facts = [f"track {folder.track or 'none'}", f"level {folder.level.value}"]
    facts += [f"head {escape.code(folder.head[:9])}"] if folder.head else []
    yield f"### {folder.verdict.value}: {escape.code(folder.folder)}"
    yield ""
    yield " · ".join(facts)
    yield ""
    for finding in folder.findings:
        yield from finding_lines(report, finding, explain)
    yield from _gaps(folder.gaps)
    for waived in folder.waived:
        yield f"- waived: {escape.code(f'{waived.finding.rule} at {waived.finding.location}')}, "
        yield f"  {escape.markdown(f'{waived.waiver}: {waived.waiver.reason}')}"
        yield ""


def finding_lines(report: Report, finding: Finding, explain: bool) -> Iterator[str]:
    """One finding: what, where, why it matters, its trace, and the ruling."""
    known = " (known)" if finding.known else ""
    yield f"**{finding.severity.value}**{known} {escape.code(finding.rule)}: {escape.markdown(finding.message)}"
    yield ""
    rule = report.rules.get(finding.rule)
    grounds = f"{consequence(finding, rule)}; confidence {finding.confidence.value}"
    yield f"At {escape.code(str(finding.location))}: {escape.markdown(grounds)}"
    yield ""
    if finding.location.text:
        yield escape.block([finding.location.text])
        yield ""
    shown = finding.steps if explain else finding.steps[:BRIEF_STEPS]
    for number, step in enumerate(shown, 1):
        source = f" {escape.code(step.location.text)}" if step.location.text else ""
        yield f"{number}. {escape.code(str(step.location))} {escape.markdown(step.message)}{source}"
    if hidden := len(finding.steps) - len(shown):
        yield f"{len(shown) + 1}. … {hidden} more"
    if finding.steps:
        yield ""
    rulings = rule.rulings if rule else ()
    for ruling in rulings if explain else rulings[:1]:
        yield f"> Ruling: {escape.markdown(citation(ruling))}"
        yield ""


def _gaps(gaps: tuple[Gap, ...]) -> Iterator[str]:
    if not gaps:
        return
    yield "**Not checked**"
    yield ""
    for gap in gaps:
        place = f" ({escape.code(str(gap.location))})" if gap.location else ""
        yield f"- {escape.code(gap.check)}: {escape.markdown(gap.reason)}{place}"
    yield ""
