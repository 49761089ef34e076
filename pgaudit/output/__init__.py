"""Reports as text: for people, for programs, and for what continuous integration and code review read."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module

from pgaudit.report import FailOn, Report


class Format(StrEnum):
    """How every command can write what it found."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


class ReportFormat(StrEnum):
    """How ``scan`` can write its report."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"
    SARIF = "sarif"
    GITHUB = "github"
    RDJSONL = "rdjsonl"
    JUNIT = "junit"
    SUMMARY = "summary"


def render(
    report: Report,
    style: ReportFormat,
    *,
    explain: bool = False,
    interactive: bool = False,
    fail_on: FailOn = FailOn.ERROR,
) -> str:
    """The report in one format, whose module alone is imported. ``explain`` adds full traces and rulings for people,
    ``interactive`` allows colour and the terminal's own width, ``fail_on`` says what JUnit calls a failure.
    """
    options: dict[ReportFormat, dict[str, object]] = {
        ReportFormat.TERMINAL: {"explain": explain, "interactive": interactive},
        ReportFormat.MARKDOWN: {"explain": explain},
        ReportFormat.JUNIT: {"fail_on": fail_on},
    }
    text: str = import_module(f"{__name__}.{style.value}").render(report, **options.get(style, {}))
    return text
