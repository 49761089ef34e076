"""The script imports or sets names that it never uses.

## What it flags
Imports of the main script whose name stands nowhere else in it, and flags that an import guard sets (`HAS_X = True` … `HAS_X = False`)
and nothing reads.

## Why it is a defect
Counted code that does nothing, and guards that guard nothing: where the package is missing the script fails later, with an error
that does not say so. Reviewers remark on it.

## How it decides
By the words of the unpacked text, comments and strings included: a name that stands only where it is bound is not used.

## Known limits
A name that a comment mentions counts as used.

## How to fix
Delete them, or test the flag where the package is needed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import MAIN, Run
from pgaudit.finding import Finding, Severity, Step
from pgaudit.program import ir
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="script-hygiene",
    leads_to="defect",
    severity=Severity.NOTE,
    rulings=(
        Ruling(
            Strength.COMMUNITY,
            "Copilot",
            "2026-04-08",
            "#1471",
            "_HAS_BROTLI is set by the import guard and never read; a missing module gives a late, unclear error.",
        ),
    ),
)

_WORD = re.compile(r"[A-Za-z_]\w*")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Count the words of the main script; one finding that lists the names that stand only where they are bound."""
    run = evidence.run
    if run is None:
        return
    body = run.modules[MAIN].body
    words = Counter(_WORD.findall(run.layers[MAIN].text))
    bound: dict[str, list[int]] = {}
    for name, line in (*_imported(run), *_flags(body)):
        bound.setdefault(name, []).append(line)
    unused = {name: sorted(lines) for name, lines in bound.items() if words[name] == len(lines)}
    if unused:
        first = sorted(unused.items(), key=lambda item: item[1])
        yield RULE.finding(
            f"never used: {', '.join(name for name, _ in first)}",
            run.at((MAIN, first[0][1][0])),
            steps=tuple(
                Step(run.at((MAIN, lines[0])), f"{name} is bound here and used nowhere") for name, lines in first
            ),
            facts={"names": [name for name, _ in first]},
        )


def _imported(run: Run) -> Iterator[tuple[str, int]]:
    """The names that imports bind, with their lines; other modules than Python's own may be imported for their effect."""
    for node in run.nodes:
        if isinstance(node, ir.Import) and node.module != "__future__":
            if not node.names and (node.bound or "." not in node.module) and node.module in sys.stdlib_module_names:
                yield node.bound or node.module, node.line
            yield from ((name, node.line) for name in node.names if name != "*")


def _flags(body: list[ir.Stmt]) -> Iterator[tuple[str, int]]:
    """Names that an import guard sets to a truth value, once for each place."""
    for guard in (statement for statement in body if isinstance(statement, ir.Try)):
        if any(isinstance(node, ir.Import) for node in guard.body):
            for node in ir.nodes([guard]):
                if (
                    isinstance(node, ir.Assign)
                    and isinstance(node.value, ir.Const)
                    and isinstance(node.value.value, bool)
                ):
                    yield from ((target.id, node.line) for target in node.targets if isinstance(target, ir.Name))
