"""Reports as text: for a terminal, for programs (JSON), for a pull request comment (Markdown)."""

from __future__ import annotations

from enum import StrEnum

from pgaudit.report import Report


class Format(StrEnum):
    """How ``scan`` writes its report."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


def render(report: Report, style: Format, *, explain: bool = False, interactive: bool = False) -> str:
    """The report in one format. ``explain`` adds full traces and rulings; ``interactive`` allows colour and the
    terminal's own width. Only the format that was asked for is imported.
    """
    if style is Format.JSON:
        from pgaudit.output import json

        return json.render(report)
    if style is Format.MARKDOWN:
        from pgaudit.output import markdown

        return markdown.render(report, explain=explain)
    from pgaudit.output import terminal

    return terminal.render(report, explain=explain, interactive=interactive)
