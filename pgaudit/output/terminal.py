"""The report for a person at a terminal, shaped like a compiler's error: what, where, how it was traced, by which ruling."""

from __future__ import annotations

import io

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pgaudit.finding import Finding, Gap, Location, Severity
from pgaudit.output.escape import plain
from pgaudit.output.wording import BRIEF_STEPS, citation, consequence, made_by, summary
from pgaudit.report import FolderReport, Report
from pgaudit.rule import Rule
from pgaudit.verdict import Verdict

PLAIN_WIDTH = 100
"""Columns in a pipe or a file, whatever the environment says: the same report gives the same bytes."""

SEVERITY_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
VERDICT_STYLE = {
    Verdict.ILLEGAL: "bold red",
    Verdict.DEFECT: "bold red",
    Verdict.INCOMPLETE: "bold magenta",
    Verdict.REVIEW: "bold yellow",
    Verdict.CLEAN: "bold green",
}


def render(report: Report, *, explain: bool = False, interactive: bool = False) -> str:
    """The report as text; colour and the terminal's width only when ``interactive``."""
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=interactive, width=None if interactive else PLAIN_WIDTH, highlight=False
    )
    page = _Page(console, report, explain)
    for folder in report.submissions:
        page.folder(folder)
    page.footer()
    return stream.getvalue()


class _Page:
    """Writes one report to a console."""

    def __init__(self, console: Console, report: Report, explain: bool) -> None:
        self.console = console
        self.report = report
        self.explain = explain

    def folder(self, folder: FolderReport) -> None:
        self.line((plain(folder.folder), "bold"), "  ", (folder.verdict.value, VERDICT_STYLE[folder.verdict]))
        facts = [f"PR #{folder.pr}" if folder.pr else "", f"head {folder.head[:9]}" if folder.head else ""]
        facts += [f"{folder.track} track" if folder.track else "no official track", f"level {folder.level.value}"]
        self.line((" · ".join(filter(None, facts)), "dim"), indent=2)
        for finding in folder.findings:
            self.finding(finding)
        self.gaps(folder.gaps)
        for waived in folder.waived:
            self.console.line()
            self.line(("waived ", "dim"), plain(f"{waived.finding.rule} at {waived.finding.location}"))
            self.line(plain(f"{waived.waiver}: {waived.waiver.reason}"), indent=4)
        self.console.line()

    def finding(self, finding: Finding) -> None:
        rule = self.report.rules.get(finding.rule)
        self.console.line()
        kind = (f"{finding.severity.value}[{finding.rule}]", SEVERITY_STYLE[finding.severity])
        self.line(kind, " known: " if finding.known else " ", plain(finding.message))
        self.excerpt(finding.location)
        shown = finding.steps if self.explain else finding.steps[:BRIEF_STEPS]
        for number, step in enumerate(shown, 1):
            self.line((f"{number}. ", "dim"), plain(f"{step.location}: {step.message}"), indent=2)
            self.source(step.location.text, indent=5)
        if hidden := len(finding.steps) - len(shown):
            self.line((f"… {hidden} more steps with --explain", "dim"), indent=2)
        self.grounds(finding, rule)

    def excerpt(self, place: Location) -> None:
        self.line(("--> ", "blue"), plain(str(place)), indent=2)
        if place.text:
            gutter = str(place.line or "")
            self.line((" " * len(gutter) + " |", "blue"), indent=2)
            self.source(place.text, indent=2, gutter=f"{gutter} | ")
            self.line((" " * len(gutter) + " | ", "blue"), ("^" * min(len(plain(place.text)), 60), "red"), indent=2)

    def source(self, text: str, indent: int, gutter: str = "| ") -> None:
        """One source line, cut where the page ends."""
        if text:
            line = Text.assemble(" " * indent, (gutter, "blue"), plain(text))
            self.console.print(line, no_wrap=True, overflow="ellipsis")

    def grounds(self, finding: Finding, rule: Rule | None) -> None:
        """Why it matters: the verdict it leads to, the conditions it breaks, and who ruled so."""
        self.because(f"{consequence(finding, rule)}; confidence {finding.confidence.value}")
        rulings = rule.rulings if rule else ()
        for ruling in rulings if self.explain else rulings[:1]:
            self.because(f"ruling: {citation(ruling)}")
        if self.explain:
            for name, fact in finding.facts.items():
                self.because(f"{name}: {fact}")
            self.because(f"fingerprint: {finding.fingerprint}")

    def because(self, text: str) -> None:
        self.line(("= ", "blue"), plain(text), indent=2)

    def gaps(self, gaps: tuple[Gap, ...]) -> None:
        if not gaps:
            return
        self.console.line()
        self.line(("not checked", "bold magenta"))
        for gap in gaps:
            self.line(plain(f"{gap.check}: {gap.reason}" + (f" ({gap.location})" if gap.location else "")), indent=2)

    def footer(self) -> None:
        for label, paths in (("outside every record folder", self.report.outside), ("deleted", self.report.deleted)):
            if paths:
                self.line((f"{label}: ", "bold"), plain(", ".join(paths)))
        for label, waivers in (("unused", self.report.unused_waivers), ("expired", self.report.expired_waivers)):
            for waiver in waivers:
                self.line((f"{label} waiver: ", "bold yellow"), plain(str(waiver)))
        counts = summary(self.report)
        self.line(counts)
        self.line((made_by(self.report), "dim"))

    def line(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        self.console.print(Padding(Text.assemble(*parts), (0, 0, 0, indent), expand=False))
