"""What the review should say: pure values out of a report and the diff that GitHub shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice

from pgaudit import policy
from pgaudit.errors import ExitCode
from pgaudit.finding import Finding
from pgaudit.fingerprint import digest, fingerprint_in
from pgaudit.output import escape
from pgaudit.report import FailOn, FolderReport, Report
from pgaudit.review.places import Diff
from pgaudit.review.text import DISPUTES, MEANING, MOST_BYTES, Writer, asks, count, fitted, folded, listed
from pgaudit.rulebook import Rulebook
from pgaudit.verdict import Verdict

SUMMARY = re.compile(r"<!-- pgaudit:review ([0-9a-f]{40}) -->\n")
FINDING = re.compile(r"<!-- pgaudit:finding ([0-9a-f]{16}) -->\n")
"""First lines of what pgaudit posts. They are looked for at the very start, where nothing submitted can stand."""
TOO_LONG = "_There is more than GitHub shows in one text; the JSON report has all of it._"
LONGEST_DESCRIPTION = 140
"""Characters that GitHub takes for the description of a status."""
STATES = {ExitCode.CLEAN: "success", ExitCode.FINDINGS: "failure", ExitCode.INCOMPLETE: "error"}


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment in the diff."""

    key: str
    """Identity across edits."""
    body: str
    path: str = ""
    """In the repository."""
    line: int | None = None
    """Of the head's file, the last one of several; ``None`` for what the diff does not show."""
    first: int | None = None
    """The first of several lines."""


@dataclass(frozen=True, slots=True)
class Status:
    """The commit status that a branch rule can require."""

    state: str
    """``success``, ``failure`` or ``error``."""
    description: str


@dataclass(frozen=True, slots=True)
class Review:
    """All that GitHub should show of one report."""

    head: str
    body: str
    comments: tuple[Comment, ...]
    standing: Mapping[str, str]
    """What a comment says on everything that still counts, by key: one that was made when the diff showed more is kept true."""
    status: Status


@dataclass(frozen=True, slots=True)
class Style:
    """What the referee chose."""

    most_inline: int
    fail_on: FailOn
    repository: str
    """Its address, for links to the lines of the head."""


def compose(report: Report, book: Rulebook, diff: Diff, style: Style, refused: frozenset[str] = frozenset()) -> Review:
    """The review of a report whose head is known. ``refused`` are the keys of comments that GitHub would not place."""
    assert report.origin.head is not None
    edition = policy.load().edition_at(date.fromisoformat(report.edition))
    writer = Writer(report, book, edition, f"{style.repository}/blob/{report.origin.head}/")
    offered = [
        comment
        for folder in report.submissions
        for comment in chain(_comments(writer, diff, folder), _suggestions(writer, diff, folder))
    ]
    shown = (comment for comment in offered if comment.line and comment.key not in refused)
    chosen = tuple(islice(shown, style.most_inline))
    inline = {comment.key for comment in chosen}
    blocks = (
        block
        for folder in report.submissions
        for block in _blocks(writer, folder, inline, titled=len(report.submissions) > 1)
    )
    worst = min((folder.verdict for folder in report.submissions), key=list(Verdict).index)
    opening = f"<!-- pgaudit:review {report.origin.head} -->\n## pgaudit: {worst}\n\n"
    opening += f"{MEANING[worst]} Read at commit `{report.origin.head[:9]}`.\n\n"
    footer = f"\n\n{writer.footer()}"
    room = MOST_BYTES - len(opening.encode()) - len(footer.encode())
    body = opening + fitted(chain((writer.overview(),), blocks), room, TOO_LONG) + footer
    standing = {comment.key: comment.body for comment in offered}
    return Review(report.origin.head, body, chosen, standing, _status(report, worst, style.fail_on))


def _comments(writer: Writer, diff: Diff, folder: FolderReport) -> Iterator[Comment]:
    """The findings that count, with the lines that the diff shows. Notes that decide nothing stay in the summary."""
    for finding in filter(asks, folder.findings):
        key = fingerprint_in(folder.folder, finding)
        marker = f"<!-- pgaudit:finding {key} -->\n"
        blocks = (
            *writer.finding(folder, finding, with_place=False),
            f"<sub>[How a finding is disputed]({DISPUTES})</sub>",
        )
        body = marker + fitted(blocks, MOST_BYTES - len(marker), TOO_LONG)
        path, line = diff.place(folder.folder, finding.location) or ("", None)
        yield Comment(key, body, path, line)


def _suggestions(writer: Writer, diff: Diff, folder: FolderReport) -> Iterator[Comment]:
    """What can be applied with one click: values that the shipped files state."""
    for replacement in folder.replacements:
        first, last = replacement.first, replacement.last
        if text := writer.replacement(replacement):
            key = digest(folder.folder, "fix", replacement.path, *replacement.lines)
            path, line = diff.lines(folder.folder, replacement.path, first, last) or ("", None)
            body = f"<!-- pgaudit:finding {key} -->\n{text}"
            yield Comment(key, body, path, line, first if first < last else None)


def _blocks(writer: Writer, folder: FolderReport, inline: set[str], *, titled: bool) -> Iterator[str]:
    """The summary of one record folder, the most important first."""
    if titled:
        yield writer.title(folder)
    yield writer.conditions(folder)
    yield writer.limits(folder)
    inside, elsewhere = list[Finding](), list[Finding]()
    for finding in filter(asks, folder.findings):
        (inside if fingerprint_in(folder.folder, finding) in inline else elsewhere).append(finding)
    if inside:
        yield "**In the diff**\n\n" + listed(writer.remark(folder, finding) for finding in inside)
    if elsewhere:
        yield "**Outside the diff, in packed code or in logs**" if inside else "**Findings**"
        for finding in elsewhere:
            yield from writer.finding(folder, finding, with_place=True)
    if folder.gaps:
        yield "**Not checked**\n\n" + listed(writer.gap(folder, gap) for gap in folder.gaps)
    if folder.waived:
        yield "**Set aside by the referee**\n\n" + listed(writer.waived(folder, item) for item in folder.waived)
    if notes := [writer.remark(folder, finding) for finding in folder.findings if not asks(finding)]:
        yield folded(f"{count(len(notes), 'note')}, deciding nothing", listed(notes))


def _status(report: Report, worst: Verdict, fail_on: FailOn) -> Status:
    deciding = dict.fromkeys(finding.rule for finding in report.findings if finding.decides)
    description = ": ".join(filter(None, (worst.value, ", ".join(deciding))))
    return Status(STATES[report.exit_code(fail_on)], escape.plain(description)[:LONGEST_DESCRIPTION])
