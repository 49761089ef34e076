"""The main script does not run, or does nothing.

## What it flags
A script that trains and scores which CPython's own grammar rejects, packed code included; and one that comes to its end without a
single output: a placeholder for the code that was meant.

## Why it is not allowed
A script that does not start cannot have produced the claimed score, and nobody can check it. The challenge asks for a train_gpt.py
that runs inside its folder.

## How it decides
CPython's grammar, of the newest version known, has to reject the text. A script that only our own parser refuses is not called
broken: it is reported as not checked. A placeholder calls nothing when it is started but functions
of its own that call nothing either.

## Known limits
Scripts that parse and fail later. A missing module is `script/missing-module`.

## How to fix
Ship the script as it ran: no prose before the first line, no unresolved merge markers.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import MAIN, Run
from pgaudit.finding import Finding, Gap
from pgaudit.program import ir
from pgaudit.rule import Rule, Ruling, Strength

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="script-broken",
    leads_to="defect",
    rulings=(
        Ruling(Strength.README, "0hq", "2026-03-18", "README", "The folder holds a train_gpt.py that runs inside it."),
        Ruling(
            Strength.COMMUNITY,
            "MatoTeziTanka",
            "2026-04-11",
            "#514",
            "A script that begins with prose fails on every Python.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding | Gap]:
    """Parse the code that runs."""
    script = evidence.main
    problem = script.body.parsed.problem if script else None
    if script and not problem and evidence.run and _does_nothing(evidence.run):
        yield RULE.finding(
            "the script comes to its end without training, scoring or printing anything", script.body.at(None)
        )
    if not script or not problem:
        return
    place = script.body.at(problem.line)
    if problem.rejected_by == "grammar":
        yield RULE.finding(f"CPython cannot parse this script: {problem.message}", place)
    else:
        yield RULE.gap(f"the script could not be read: {problem.message}", place)


def _does_nothing(run: Run) -> bool:
    """Does the script, as far as it runs when it is started, call nothing but functions of its own that call nothing?"""
    walk, body = run.walk, run.modules[MAIN].body
    if walk.reports or walk.events or walk.trained or walk.problems or walk.skipped:
        return False
    own = {node.name: node for node in body if isinstance(node, ir.Function)}
    started = [part for part in body if not isinstance(part, ir.Function | ir.Class | ir.Import)]
    for call in (node for node in ir.nodes(started) if isinstance(node, ir.Call)):
        function = own.get(call.func.id) if isinstance(call.func, ir.Name) else None
        if function is None or any(isinstance(node, ir.Call | ir.Import) for node in ir.nodes(function.body)):
            return False
    return True
