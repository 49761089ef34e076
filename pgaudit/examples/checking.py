"""Checks examples: builds each section's record folder, audits it by every rule, and compares what was found."""

from __future__ import annotations

import base64
import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from pgaudit import policy
from pgaudit.audit import audit
from pgaudit.errors import RulebookError
from pgaudit.evidence.corpus import Corpus, Ruled
from pgaudit.evidence.evidence import Evidence
from pgaudit.examples.reading import Block, Expected, Section, legal, read, ruled
from pgaudit.finding import Confidence, Finding, Severity
from pgaudit.report import FolderReport, Outcome
from pgaudit.rulebook import Rulebook
from pgaudit.submission import Collected, File, Origin, Submission

RULED_BEFORE = 1
"""The number of the pull request that stands in an example's corpus."""
FOLDER = "records/track_10min_16mb/2026-04-01_Example"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"lzma": lzma.compress, "zlib": zlib.compress, "bz2": bz2.compress}
ENCODE: dict[str, Callable[[bytes], bytes]] = {"base85": base64.b85encode, "base64": base64.b64encode}
DECODE = {"base85": "base64.b85decode", "base64": "base64.b64decode"}

Place = tuple[str, int | None, str]
"""Path, line and rule: what an expected and an actual finding are compared by."""


def check(section: Section, book: Rulebook) -> list[str]:
    """What is wrong with one example, one line each, beginning with ``FILE:LINE`` of the Markdown."""
    try:
        blocks = folder_of(section)
        expected = {(item, _place(item, blocks)) for item in section.expected}
        report = _audit(section, blocks, book)
    except RulebookError as error:
        return [str(error)]
    return [*_compare(section, report, expected), *_crashes(section, report)]


def contract(book: Rulebook) -> list[str]:
    """Where the rulebook's examples fall short of: a legal twin, an illegal one and a mutation for every rule."""
    return [complaint for entry in book for complaint in _shortfalls(entry.rule.id, read(entry.examples), book)]


def _shortfalls(rule: str, twins: tuple[Section, ...], book: Rulebook) -> Iterator[str]:
    kinds = {section.kind for section in twins}
    for wanted in (("Legal",), ("Illegal", "Defect"), ("Mutation",)):
        if not kinds & set(wanted):
            yield f"{rule}: the examples have no section of kind {' or '.join(wanted)}"
    for section in twins:
        finds = {item.rule for item in section.expected if item.error}
        if section.kind == "Legal" and finds:
            yield f"{section.place}: nothing illegal may be found in a legal section"
        if section.kind != "Legal" and rule not in (finds if _accuses(rule, book) else _named(section)):
            yield f"{section.place}: must find `{rule}`"
        for item in section.expected:
            if book.get(item.rule) is None:
                yield f"{item.place}: there is no rule {item.rule!r}"


def _accuses(rule: str, book: Rulebook) -> bool:
    """Does a rule find errors, or does it only note what a reader should know?"""
    entry = book.get(rule)
    return entry is None or entry.rule.severity is Severity.ERROR


def _named(section: Section) -> set[str]:
    return {item.rule for item in section.expected}


def folder_of(section: Section) -> dict[str, Block]:
    """The files of the section's record folder by path. Raises ``RulebookError`` where a change does not fit."""
    base = legal(section)
    blocks = folder_of(base) if base else {}
    for block in section.blocks:
        blocks[block.path] = _patch(blocks.get(block.path), block) if block.language == "diff" else block
    for path in section.without:
        if blocks.pop(path, None) is None:
            raise RulebookError(f"{section.place}: there is no {path} to take out")
    return blocks


def _patch(target: Block | None, change: Block) -> Block:
    """The target with the change made; its context and ``-`` lines must stand there exactly once."""
    marked = change.text.splitlines()
    old = [line[1:] for line in marked if not line.startswith("+")]
    new = [line[1:] for line in marked if not line.startswith("-")]
    lines = target.text.splitlines() if target else []
    starts = [at for at in range(len(lines)) if lines[at : at + len(old)] == old]
    if target is None or len(starts) != 1:
        raise RulebookError(f"{change.place}: the change must fit in one place of {change.path}, not in {len(starts)}")
    lines[starts[0] : starts[0] + len(old)] = new
    return replace(target, text="".join(f"{line}\n" for line in lines))


def content(block: Block) -> bytes:
    """The bytes of the file that a block stands for."""
    if block.size is not None:
        return bytes(block.size)
    return _wrapper(block) if block.pack else block.text.encode()


def _wrapper(block: Block) -> bytes:
    """A script that carries the block's text packed, and runs it."""
    compress, _, encode = block.pack.partition("+")
    if compress not in COMPRESS or encode not in ENCODE:
        raise RulebookError(f"{block.place}: pack is {'|'.join(COMPRESS)}+{'|'.join(ENCODE)}, not {block.pack!r}")
    payload = ENCODE[encode](COMPRESS[compress](block.text.encode()))
    return f"import base64, {compress}\nexec({compress}.decompress({DECODE[encode]}({payload!r})))\n".encode()


@cache
def _policy() -> policy.Policy:
    return policy.load()


def _audit(section: Section, blocks: Mapping[str, Block], book: Rulebook) -> FolderReport:
    submission = _submission(section, blocks)
    collected = Collected(submission.origin, (submission,))
    return audit(collected, book, _policy(), corpus=_corpus(section)).submissions[0]


def _submission(section: Section, blocks: Mapping[str, Block]) -> Submission:
    return Submission(FOLDER, {path: _file(blocks[path]) for path in sorted(blocks)}, Origin(section.place))


def _corpus(section: Section) -> Corpus | None:
    before = ruled(section)
    if before is None or section.ruled is None:
        return None
    functions = Evidence(_submission(before, folder_of(before)), _policy().edition_at(None)).functions
    return Corpus.of([Ruled(RULED_BEFORE, f"{FOLDER}Before", section.ruled[0], (), before.place, frozenset(functions))])


def _file(block: Block) -> File:
    size = block.size if block.size is not None else len(content(block))
    return File(block.path, size, lambda: content(block))


def _place(item: Expected, blocks: Mapping[str, Block]) -> Place:
    """Where the finding must be; the quoted text must stand on exactly one line of the file."""
    if not item.text:
        return item.path, None, item.rule
    lines = blocks[item.path].text.splitlines() if item.path in blocks else []
    matches = [number for number, line in enumerate(lines, 1) if item.text in line]
    if len(matches) != 1:
        raise RulebookError(f"{item.place}: `{item.text}` stands on {len(matches)} lines of {item.path}, not on one")
    return item.path, matches[0], item.rule


def _compare(section: Section, report: FolderReport, expected: set[tuple[Expected, Place]]) -> Iterator[str]:
    errors = {_of(f): f for f in report.findings if f.severity is Severity.ERROR}
    others = {_of(f) for f in report.findings if f.severity is not Severity.ERROR}
    for item, place in sorted(expected, key=lambda pair: pair[0].place):
        if place not in (errors if item.error else others):
            yield f"{item.place}: {section}: `{item.rule}` was not found at {_words(place)}"
    wanted = {place for item, place in expected if item.error}
    for place, finding in errors.items():
        if place not in wanted:
            yield f"{section.place}: {section}: `{finding.rule}` was found at {_words(place)}: {finding.message}"
    if any(f.severity is Severity.ERROR and f.confidence is Confidence.LOW for f in report.findings):
        yield f"{section.place}: {section}: an error of low confidence decides nothing: an example has to be clear"


def _crashes(section: Section, report: FolderReport) -> Iterator[str]:
    crashed = {rule for rule, outcome in report.outcomes.items() if outcome is Outcome.CRASHED}
    for gap in report.gaps:
        if gap.check in crashed:
            yield f"{section.place}: {section}: {gap.check}: {gap.reason}"


def _of(finding: Finding) -> Place:
    return finding.location.path, finding.location.line, finding.rule


def _words(place: Place) -> str:
    return place[0] if place[1] is None else f"{place[0]}:{place[1]}"
