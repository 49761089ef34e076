"""Nothing in the submission can have printed the log.

## What it flags
A log of the claimed runs whose score lines fit no text that any shipped script prints.

## Why it is not allowed
Logs are the evidence of a submission. One that its files cannot have made is none, whatever its reason: a log of another script, of
another version of it, or one that was written by hand.

## How it decides
Every string, f-string and format of every shipped Python file, unpacked, is a template; a line fits if the literal parts stand in it
in order. A finding needs a log with at least three score lines of which not one fits, and whose words stand in no shell script, notebook
or foreign source either. It is a statement about files and no word about people: most logs fit in every line, and older versions of
a script fit in most.

## Known limits
Lines that a library or a program outside the folder prints.

## How to fix
Ship the log as the shipped script wrote it, and the wrapper that sums it up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from pgaudit.engine.queries import prints, says_something
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.reading import is_readable
from pgaudit.finding import Confidence, Finding, Step
from pgaudit.program import ir
from pgaudit.rule import Rule, Ruling, Strength
from pgaudit.source.text import decode

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="log-not-from-script",
    leads_to="defect",
    rulings=(
        Ruling(
            Strength.README,
            "0hq",
            "2026-03-18",
            "README",
            "A submission holds the train log that the script produced.",
        ),
    ),
)

LEAST_LINES = 3
"""Fewer score lines may be a summary that was written for the reader."""
MOST_SHOWN = 3
WRITING = (".sh", ".bash", ".ipynb", ".c", ".cpp", ".cu", ".rs")
"""Other files that write."""
MOST_LINES = 300
"""Score lines that are looked up of one log; a log of its own script fits in the first."""
_FIELD = re.compile(r"%[-+ 0-9.]*[a-zA-Z]|\{[^{}]*\}")
"""A part of a text that ``%`` or ``format`` fills in."""
_WORD = re.compile(r"[A-Za-z]\w{4,}")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Hold the score lines of every claimed log against everything that can be printed."""
    printable = Printable(evidence)
    for log in evidence.claimed_logs if evidence.texts else ():
        places = list({metric.location.line: metric.location for metric in log.metrics if metric.val_bpb}.values())
        if len(places) < LEAST_LINES:
            continue
        whole = evidence.lines_of(log)
        lines = [whole[place.line - 1] if place.line else place.text for place in places[:MOST_LINES]]
        if any(printable.fits(line) for line in lines):
            continue
        yield RULE.finding(
            f"nothing that is shipped can have printed any of the {len(places)} score lines of this log",
            places[0],
            steps=tuple(Step(place, "no shipped text fits this line") for place in places[:MOST_SHOWN]),
            confidence=Confidence.MEDIUM,
            facts={"score_lines": len(places), "fitting": 0},
        )
        return


class Printable:
    """Everything that the shipped files can print, gathered only as far as it is needed."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def fits(self, line: str) -> bool:
        """Can some shipped file have printed the line?"""
        if any(prints(template, line) for templates in self._templates() for template in templates):
            return True
        words = _WORD.findall(line)
        return bool(words) and any(all(word in text for word in words) for text in self.other_texts)

    def _templates(self) -> Iterator[tuple[str, ...]]:
        """Those of the script that ran and of what it imports, and then those of every other Python text."""
        yield self.of_run
        yield self.of_others

    @cached_property
    def of_run(self) -> tuple[str, ...]:
        modules = self.evidence.run.modules.values() if self.evidence.run else ()
        return tuple(dict.fromkeys(template for module in modules for template in _templates(module.body)))

    @cached_property
    def of_others(self) -> tuple[str, ...]:
        walked = {layer.text for layer in self.evidence.run.layers.values()} if self.evidence.run else set()
        others = [
            layer for layer in self.evidence.texts if layer.text not in walked and layer.parsed.module is not None
        ]
        modules = (self.evidence.lowered(layer, layer.path) for layer in others)
        return tuple(dict.fromkeys(template for module in modules for template in _templates(module.body)))

    @cached_property
    def other_texts(self) -> tuple[str, ...]:
        """Files in other languages that write."""
        files = self.evidence.submission.files.items()
        return tuple(decode(file.data).text for path, file in files if path.endswith(WRITING) and is_readable(file))


def _templates(body: Iterable[ir.Stmt]) -> Iterator[str]:
    """The strings of a module, ``\\0`` for what is computed, where they have words enough to be told apart."""
    for node in ir.nodes(body):
        if isinstance(node, ir.Format):
            text = "".join(part if isinstance(part, str) else "\0" for part in node.parts)
        elif isinstance(node, ir.Const) and isinstance(node.value, str):
            text = _FIELD.sub("\0", node.value)
        else:
            continue
        if says_something(text):
            yield text
