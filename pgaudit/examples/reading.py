"""Reads example files: Markdown whose sections are small submissions and what must be found in them.

``## Legal: NAME``, ``## Illegal: NAME`` and ``## Defect: NAME`` hold fenced blocks, one per file of the record folder::

    ```python path=train_gpt.py pack=lzma+base85        (pack is optional: the block is shipped packed)
    ```bytes path=final_model.int8.ptz size=16100000    (zero-filled)

``Based on: `complete` `` lays the blocks over the complete clean submission in ``rules/complete.md``, and ``Based on:
`Legal: NAME` `` over a section of the same file. ``## Mutation: NAME`` turns that legal section into an illegal one by
``diff`` blocks of context, ``-`` and ``+`` lines that fit in exactly one place. List items say what must come out::

    - finds `artifact/oversize` at `train_seed42.log`: `part of the line`     (an error; no other may be found)
    - notes `artifact/oversize` at `submission.json`                          (a warning or a note)
    - without `README.md`                                                     (the file is taken out)

``Ruled illegal before: `Legal: NAME` `` is a corpus for the section: the other one (of the same file, or `Legal: complete`) has that verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pgaudit.errors import RulebookError, TargetError
from pgaudit.rulebook import Rulebook, rules_directory

KINDS = ("Legal", "Illegal", "Defect", "Mutation")
EXPECTED = re.compile(r"(finds|notes) `([^`]+)` at `([^`]+)`(?:: (`+) ?(.+?) ?\4)?")
WITHOUT = re.compile(r"without `([^`]+)`")
BASED_ON = re.compile(r"Based on: `(?:Legal: )?([^`]+)`")
RULED = re.compile(r"Ruled (\w+) before: `(\w+): ([^`]+)`")
COMPLETE = "complete"
"""Name of the built-in submission that sections may be based on."""


@dataclass(frozen=True)
class Block:
    """One fenced block: a file of the record folder, or a change to one."""

    language: str
    path: str
    text: str
    size: int | None
    """Size in bytes of a zero-filled file; ``None`` for a file with text."""
    pack: str
    """How the text is packed into a wrapper script, e.g. ``lzma+base85``; empty for as it stands."""
    place: str
    """``FILE:LINE`` of the fence."""


@dataclass(frozen=True)
class Expected:
    """One list item: a finding that must come out."""

    error: bool
    rule: str
    path: str
    text: str
    """Part of the line; empty where the finding concerns the file as a whole."""
    place: str


@dataclass
class Section:
    """One example."""

    kind: str
    name: str
    file: Path
    place: str
    """``FILE:LINE`` of the heading."""
    base: str = ""
    blocks: list[Block] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    ruled: tuple[str, str, str] | None = None
    """Verdict, kind and name of the section that was ruled on before."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def sections(book: Rulebook, which: str | None = None) -> list[Section]:
    """The examples of the whole book, of the rule ``which``, or of the Markdown file ``which``."""
    if which is None:
        files = [rules_directory() / "complete.md", *(entry.examples for entry in book)]
    elif entry := book.get(which):
        files = [entry.examples]
    elif Path(which).is_file():
        files = [Path(which).resolve().with_suffix(".md")]
    else:
        raise TargetError(f"{which!r} is neither a rule nor a file", hint="`pgaudit rules list` names the rules")
    return [section for file in files for section in read(file)]


def read(file: Path) -> tuple[Section, ...]:
    """The sections of one example file. Raises ``RulebookError`` with file and line."""
    found: list[Section] = []
    tokens = MarkdownIt("commonmark").parse(file.read_text(encoding="utf-8"))
    for token, inside in zip(tokens, [None, *tokens], strict=False):
        place = f"{file.parent.name}/{file.name}:{token.map[0] + 1 if token.map else 1}"
        if token.type == "inline" and inside is not None and inside.tag == "h2":
            found.append(_heading(token.content, file, place))
        elif token.type == "inline" and found and inside is not None and inside.type == "paragraph_open":
            _sentence(found[-1], token.content, place)
        elif token.type == "fence" and found:
            found[-1].blocks.append(_block(token, place))
    return tuple(found)


def legal(section: Section) -> Section | None:
    """The legal section that a mutation or an overlay starts from, ``None`` for one that stands alone."""
    wanted = section.name if section.kind == "Mutation" else section.base
    if not wanted:
        return None
    pool = read(rules_directory() / "complete.md") if wanted == COMPLETE else read(section.file)
    base = next((s for s in pool if s.kind == "Legal" and s.name == wanted and s is not section), None)
    if base is None:
        raise RulebookError(f"{section.place}: there is no section 'Legal: {wanted}'")
    return base


def ruled(section: Section) -> Section | None:
    """The section that stands in this one's corpus."""
    if section.ruled is None:
        return None
    _, kind, name = section.ruled
    pool = read(rules_directory() / "complete.md") if name == COMPLETE else read(section.file)
    found = next((s for s in pool if (s.kind, s.name) == (kind, name)), None)
    if found is None:
        raise RulebookError(f"{section.place}: there is no section '{kind}: {name}'")
    return found


def _heading(text: str, file: Path, place: str) -> Section:
    kind, colon, name = text.partition(":")
    if kind not in KINDS or not colon or not name.strip():
        raise RulebookError(f"{place}: a section is named '## KIND: NAME', KIND one of {', '.join(KINDS)}")
    return Section(kind, name.strip(), file, place)


def _sentence(section: Section, text: str, place: str) -> None:
    """A paragraph or list item: what must be found, what the section is based on, or prose."""
    if match := EXPECTED.fullmatch(text):
        verb, rule, path, _, part = match.groups()
        section.expected.append(Expected(verb == "finds", rule, path, part or "", place))
    elif match := WITHOUT.fullmatch(text):
        section.without.append(match[1])
    elif match := BASED_ON.match(text):
        section.base = match[1]
    elif match := RULED.fullmatch(text):
        section.ruled = (match[1], match[2], match[3])
    elif text.startswith(("finds ", "notes ", "without ", "Based on", "Ruled ")):
        raise RulebookError(f"{place}: cannot read {text!r}; see pgaudit/examples/reading.py for the forms")


def _block(token: Token, place: str) -> Block:
    language, *words = token.info.split()
    options = dict(word.partition("=")[::2] for word in words)
    if "path" not in options or set(options) - {"path", "size", "pack"}:
        raise RulebookError(f"{place}: a block needs path=…, and may have size=… or pack=…, not {token.info!r}")
    size = int(options["size"]) if options.get("size", "").isdecimal() else None
    if (language == "bytes") != (size is not None):
        raise RulebookError(f"{place}: a bytes block has a size=… in bytes, and no other block has")
    return Block(language, options["path"], token.content, size, options.get("pack", ""), place)
