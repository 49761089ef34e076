"""README and run scripts to facts: the commands that start a run, and the scores that the README states."""

from __future__ import annotations

import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pgaudit.evidence.reading import Reading, place
from pgaudit.finding import Location
from pgaudit.source.text import decode
from pgaudit.submission import File

_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})\s*([\w+-]*)")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ARRAY = re.compile(r"([A-Za-z_]\w*)=\((.*)\)", re.DOTALL)
_OPEN_ARRAY = re.compile(r"[A-Za-z_]\w*=\([^)]*", re.DOTALL)
_ARRAY_USE = re.compile(r"\$\{(\w+)\[[@*]\]\}")
_EXPANSION = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_INLINE = re.compile(r"`([A-Z][A-Z0-9_]{2,})=([^`\s]+)`")
_HEADING = re.compile(r"#{1,6}\s")
_NAMED_NUMBER = re.compile(
    r"(?<![\w.$/-])([A-Za-z][A-Za-z0-9_]+)[`*]*\s*[=:]\s*[`*]*(\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?)(?![\w.%×x/-])[`*]*(?:\s([a-z]+))?",
    re.IGNORECASE,
)
_NUMBER_CELL = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?)(?:\s([a-z]+))?", re.IGNORECASE)
_DASHES = re.compile(r":?-+:?")
_PYTHON = re.compile(r"(?:^|/)(?:python[\d.]*|torchrun|uv|accelerate)$")
_SCORE = re.compile(
    r"\b(?:val[_ ])?bpb\b[^0-9\n]{0,24}?(\d\.\d{3,8})(?!\d)|(?<![\d.])(\d\.\d{3,8})[ \t*]{0,8}(?:val[_ ])?bpb\b",
    re.IGNORECASE,
)
_COPYING = {"ln", "cp", "mv"}
_REDIRECTION = re.compile(r"(?<=\s)(?:\d|&)?>{1,2}\s*(?:&\d|[^\s;&|]+)")
"""Of what a command prints: it belongs to the shell, not to the arguments."""
_PREFIXES = {"export", "declare", "env", "time", "nohup", "exec", "sudo", "do", "then", "else"}
Prose = Sequence[tuple[int, str]]
"""Lines outside fenced blocks, with their numbers."""
MAX_LINES = 20_000
"""What comes after this many lines is not read."""
LONGEST_COMMAND = 10_000
"""Characters of a command over several lines; an array that is never closed ends here."""
MAX_VALUE = 4_096
"""Longer values are cut: an expansion may refer to itself and double with every line."""
_SHELLS = ("", "bash", "sh", "shell", "console", "zsh", "text")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs a Python script."""

    environment: Mapping[str, str]
    """Variables set for it: exported before, and on its own line. ``${X:-d}`` is expanded, an unknown ``$X`` is left."""
    script: str
    """The script as written: ``train_gpt.py``, ``records/…/train_gpt.py``, ``-m pkg.module``."""
    arguments: tuple[str, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that is given another name: ``ln -s SOURCE TARGET``, ``cp``, ``mv``."""

    source: str
    target: str
    location: Location


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    head: tuple[str, ...]
    """The cells of the table's first row."""
    cells: tuple[str, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class Stated:
    """A number that the text gives for something: ``warmdown=2800 iters``."""

    name: str
    value: Reading[str]
    unit: str
    """The word behind the number, if there is one."""


@dataclass(frozen=True)
class Readme:
    """What a README states."""

    path: str
    title: str = ""
    commands: tuple[Command, ...] = ()
    """From fenced blocks, in order."""
    scores: tuple[Reading[float], ...] = field(default=())
    """Numbers called bpb, in order."""
    copies: tuple[Copied, ...] = ()
    """From fenced blocks, in order."""
    settings: Mapping[str, Reading[str]] = field(default_factory=dict)
    """What the text says of the run as `` `NAME=VALUE` ``, where it says but one value of a name."""
    headings: tuple[Reading[str], ...] = ()
    """Every heading, in order."""
    stated: tuple[Stated, ...] = ()
    """Numbers with a name, where the text gives but one number for the name."""
    rows: tuple[Row, ...] = ()
    """The rows of every table, in order."""
    prose: Prose = ()
    """The lines outside fenced blocks."""

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[tuple[Location, str]]:
        """The lines outside fenced blocks that a pattern is found in."""
        return ((place(self.path, number, line), line) for number, line in self.prose if pattern.search(line))


def read_readme(file: File) -> Readme:
    """Read a README. Raises ``UnreadableFile``."""
    lines = _lines(file)
    title = next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")
    commands = tuple(command for start, block in _blocks(lines) for command in _commands(file.path, block, start))
    scores = tuple(
        Reading(float(match[1] or match[2]), place(file.path, number, line))
        for number, line in enumerate(lines, 1)
        for match in _SCORE.finditer(line)
    )
    copies = tuple(copied for start, block in _blocks(lines) for copied in _copies(file.path, block, start))
    prose = tuple(_prose(lines))
    headings = tuple(
        Reading(line.lstrip("# ").strip(), place(file.path, number, line))
        for number, line in prose
        if _HEADING.match(line)
    )
    rows = tuple(_rows(file.path, prose))
    stated = tuple(_stated(file.path, prose, rows))
    return Readme(
        file.path, title, commands, scores, copies, _settings(file.path, prose), headings, stated, rows, prose
    )


def read_run_script(file: File) -> tuple[Command, ...]:
    """The commands of a shell script that run Python. Raises ``UnreadableFile``."""
    return tuple(_commands(file.path, _lines(file), 1))


def read_copies(file: File) -> tuple[Copied, ...]:
    """What a shell script links, copies or moves. Raises ``UnreadableFile``."""
    return tuple(_copies(file.path, _lines(file), 1))


def _lines(file: File) -> list[str]:
    return decode(file.data).text.replace("\r\n", "\n").split("\n")[:MAX_LINES]


def _settings(path: str, prose: Prose) -> dict[str, Reading[str]]:
    """Settings in the text outside fenced blocks; contradicting values (a comparison of runs) say nothing."""
    found: dict[str, list[Reading[str]]] = {}
    for number, line in prose:
        for match in _INLINE.finditer(line):
            found.setdefault(match[1], []).append(Reading(match[2], place(path, number, line)))
    return {name: said[0] for name, said in found.items() if len({reading.value for reading in said}) == 1}


def _stated(path: str, prose: Prose, rows: Iterable[Row]) -> Iterator[Stated]:
    """Numbers with a name, in the text and in tables of two columns."""
    found: dict[str, list[Stated]] = {}
    for number, line in prose:
        for match in _NAMED_NUMBER.finditer(line):
            found.setdefault(match[1].lower(), []).append(
                Stated(match[1], Reading(match[2], place(path, number, line)), match[3] or "")
            )
    for row in rows:
        if len(row.cells) == 2 and (cell := _NUMBER_CELL.fullmatch(row.cells[1].strip("*` "))):
            found.setdefault(row.cells[0].lower(), []).append(
                Stated(row.cells[0], Reading(cell[1], row.location), cell[2] or "")
            )
    for said in found.values():
        if len({stated.value.value for stated in said}) == 1:
            yield said[0]


def _rows(path: str, prose: Prose) -> Iterator[Row]:
    """The rows of tables, the line of dashes below each head left out."""
    head: tuple[str, ...] = ()
    for number, line in prose:
        if not line.strip().startswith("|"):
            head = ()
            continue
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
        if all(_DASHES.fullmatch(cell) for cell in cells):
            continue
        if head:
            yield Row(head, cells, place(path, number, line))
        head = head or cells


def _prose(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The lines outside fenced blocks, with their numbers."""
    fence = ""
    for number, line in enumerate(lines, 1):
        match = _FENCE.match(line)
        if match and (not fence or match[1].startswith(fence)):
            fence = "" if fence else match[1]
        elif not fence:
            yield number, line


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Every fenced block that may hold shell commands, with the number of its first line."""
    fence, start = "", 0
    for number, line in enumerate(lines, 1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, start = match[1], number + 1
            shell = match[2].lower() in _SHELLS
        elif fence and match and match[1].startswith(fence) and not match[2]:
            if shell:
                yield start, lines[start - 1 : number - 1]
            fence = ""


def _commands(path: str, lines: list[str], first: int) -> Iterator[Command]:
    exported: dict[str, str] = {}
    arrays: dict[str, list[str]] = {}
    for number, text in _logical_lines(lines, first):
        if array := _ARRAY.fullmatch(text):
            arrays[array[1]] = [word for words in _simple_commands(array[2]) for word in words]
            continue
        for command in _simple_commands(text):
            own = dict(exported)
            words = deque(_spread(command, arrays))
            while words and words[0] in _PREFIXES:
                words.popleft()
            while words and (match := _ASSIGNMENT.fullmatch(words[0])):
                own[match[1]] = _expand(match[2], own)
                words.popleft()
            if not words:
                exported = own
            elif target := _script([_expand(word, own) for word in words]):
                yield Command(own, *target, place(path, number, text))


def _spread(words: list[str], arrays: Mapping[str, list[str]]) -> Iterator[str]:
    """The words with each ``${NAME[@]}`` replaced by the array's; one that is not known gives none."""
    for word in words:
        if use := _ARRAY_USE.fullmatch(word):
            yield from arrays.get(use[1], ())
        else:
            yield word


def _copies(path: str, lines: list[str], first: int) -> Iterator[Copied]:
    for number, text in _logical_lines(lines, first):
        for command in _simple_commands(text):
            words = [word for word in command if word not in _PREFIXES and not word.startswith("-")]
            if len(words) > 2 and words[0] in _COPYING:
                yield Copied(words[1], words[-1], place(path, number, text))


def _logical_lines(lines: list[str], first: int) -> Iterator[tuple[int, str]]:
    """Lines joined at a trailing backslash or inside the parentheses of an array, with the number of the first; comments
    and prompts removed.
    """
    joined, start = "", 0
    for number, line in enumerate(lines, first):
        stripped = line.strip()
        if not joined:
            start = number
            stripped = re.sub(r"^[$>]\s+", "", stripped)
        if stripped.startswith("#"):
            continue
        if stripped.endswith("\\"):
            joined += stripped[:-1] + " "
            continue
        text = (joined + stripped).strip()
        if len(text) <= LONGEST_COMMAND and _OPEN_ARRAY.fullmatch(text):
            joined = f"{text} "
            continue
        if text:
            yield start, text
        joined = ""


def _simple_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a line, split at ``;``, ``&&``, ``||`` and ``|``."""
    lexer = shlex.shlex(_REDIRECTION.sub(" ", text), posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.strip(";&|"):
                words.append(word)
            elif words:
                yield words
                words = []
    except ValueError:  # an unclosed quote: what came before it still counts
        pass
    if words:
        yield words


def _script(words: list[str]) -> tuple[str, tuple[str, ...]] | None:
    """The Python script that a command runs, and its arguments."""
    if not _PYTHON.search(words[0]):
        return None
    for index, word in enumerate(words[1:], 1):
        if word.endswith(".py"):
            return word, tuple(words[index + 1 :])
        if word == "-m" and index + 1 < len(words) and not words[index + 1].startswith("torch"):
            return f"-m {words[index + 1]}", tuple(words[index + 2 :])
    return None


def _expand(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return known.get(match[1] or match[3], match[2] if match[2] is not None else match[0])

    return _EXPANSION.sub(value, text)[:MAX_VALUE]
