"""A function returns something else than its annotation says.

## What it flags
A function of the script that is annotated to return nothing and returns a value, or annotated to return a value and never does.

## Why it is a defect
The annotation misleads whoever reads or reuses the code, and a forgotten `return` is a bug. Reviewers remark on it.

## How it decides
The return statements of the function's own body against an annotation of one name. Generators, stubs and functions that only raise are
left out.

## Known limits
Types are not compared: only whether there is a value at all.

## How to fix
Correct the annotation, or return the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.run import MAIN
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
            "Functions annotated with int and None return nothing and a pair.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Compare every annotated function of the main script with its returns; one finding that lists them."""
    run = evidence.run
    if run is None:
        return
    functions = (node for node in run.nodes if isinstance(node, ir.Function))
    wrong = sorted(
        ((node.line, complaint) for node in functions if (complaint := _complaint(node))), key=lambda pair: pair[0]
    )
    if wrong:
        places = [(run.at((MAIN, line)), complaint) for line, complaint in wrong]
        yield RULE.finding(
            wrong[0][1] + (f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""),
            places[0][0],
            steps=tuple(Step(place, complaint) for place, complaint in places),
        )


def _complaint(function: ir.Function) -> str:
    """What is wrong with the annotation, if anything."""
    if not function.returns or function.is_generator or _is_stub(function.body):
        return ""
    returns = list(_returns(function.body))
    valued = [node for node in returns if node.value is not None and not _is_none(node.value)]
    if function.returns == "None" and valued:
        return f"{function.name}() is annotated to return None, and returns a value"
    leaves = any(isinstance(node, ir.Jump) and node.kind == "raise" for node in ir.nodes(function.body))
    if function.returns not in ("None", "NoReturn", "Never", "Any", "object") and not valued and not leaves:
        return f"{function.name}() is annotated to return {function.returns}, and returns nothing"
    return ""


def _returns(body: Iterable[ir.Part]) -> Iterator[ir.Return]:
    """The return statements of a body, those of functions inside it left out."""
    pending = [*body]
    while pending:
        part = pending.pop()
        if isinstance(part, ir.Return):
            yield part
        elif not isinstance(part, ir.Function | ir.Expr):
            pending += ir.children(part)


def _is_none(value: ir.Expr) -> bool:
    return isinstance(value, ir.Const) and value.value is None


def _is_stub(body: list[ir.Stmt]) -> bool:
    """Nothing but a docstring, ``...`` or ``raise``."""
    return (
        not body
        or (isinstance(body[-1], ir.Jump) and body[-1].kind == "raise")
        or all(isinstance(statement, ir.Evaluate) and isinstance(statement.value, ir.Const) for statement in body)
    )
