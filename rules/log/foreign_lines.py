"""Nothing in the submission can have printed the log.

## What it flags
A log of the claimed runs whose score lines fit no text that any shipped script prints.

## Why it is not allowed
Logs are the evidence of a submission. One that its files cannot have made is none, whatever its reason: a log of another script, of
another version of it, or one that was written by hand.

## How it decides
Every string and f-string of every shipped Python file, unpacked, is a template; a line fits if the literal parts stand in it in order.
A finding needs a log with at least three score lines of which not one fits, and whose words stand in no shell script either. It says
what was found and accuses nobody: most logs fit in every line, and older versions of a script fit in most.

## Known limits
Lines that a library or a program outside the folder prints.

## How to fix
Ship the log as the shipped script wrote it, and the wrapper that sums it up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pgaudit.engine.queries import prints, says_something
from pgaudit.evidence.evidence import Evidence
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
_WORD = re.compile(r"[A-Za-z]\w{4,}")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Hold the score lines of every claimed log against everything that can be printed."""
    for log in evidence.claimed_logs if evidence.texts else ():
        lines = {metric.location.text: metric.location for metric in log.metrics if metric.val_bpb}
        if len(lines) < LEAST_LINES or any(_fits(line, evidence) for line in lines):
            continue
        places = list(lines.values())
        yield RULE.finding(
            f"nothing that is shipped can have printed any of the {len(lines)} score lines of this log",
            places[0],
            steps=tuple(Step(place, "no shipped text fits this line") for place in places[:MOST_SHOWN]),
            confidence=Confidence.MEDIUM,
            facts={"score_lines": len(lines), "fitting": 0},
        )
        return


def _fits(line: str, evidence: Evidence) -> bool:
    from pgaudit.program.lower import lower  # brings libcst, which listing the rules must not pay for

    modules = evidence.run.modules.values() if evidence.run else ()
    if any(prints(template, line) for module in modules for template in _templates(module.body)):
        return True
    others = (lower(layer.parsed.module) for layer in evidence.texts if layer.parsed.module is not None)
    if any(prints(template, line) for module in others for template in _templates(module.body)):
        return True
    words = _WORD.findall(line)
    return bool(words) and any(all(word in text for word in words) for text in _other_texts(evidence))


def _templates(body: Iterable[ir.Stmt]) -> Iterator[str]:
    """The strings of a module, ``\\0`` for what is computed, where they have words enough to be told apart."""
    for node in ir.nodes(body):
        if isinstance(node, ir.Format):
            text = "".join(part if isinstance(part, str) else "\0" for part in node.parts)
        elif isinstance(node, ir.Const) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if says_something(text):
            yield text


def _other_texts(evidence: Evidence) -> Iterator[str]:
    for path, file in evidence.submission.files.items():
        if path.endswith(WRITING) and not file.problem:
            yield decode(file.data).text
