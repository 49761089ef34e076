"""A value is used on the path on which it was found to be None.

## What it flags
`if x is None:` with a body that neither leaves the block nor gives `x` a value, followed in the same block by an attribute of `x`.

## Why it is a defect
On that path the script ends with an AttributeError, late and without saying why. Reviewers remark on it.

## How it decides
By the lowered text of every function: the body of the test has to run to its end (no `return`, `raise`, `break`, `continue`, no exit of
the process) without binding the name, and the first statement behind it that names `x` reads or calls one of its attributes.

## Known limits
Tests for truth (`if not x`), values that a call in the body sets, and attributes read deeper than in the next statement that names `x`.

## How to fix
Return after the message, or give the value a default.
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
            "The logger's settings are dereferenced on the path on which they are None.",
        ),
    ),
)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look behind every test for None."""
    run = evidence.run
    if run is None:
        return
    for block in _blocks(run.nodes):
        for number, statement in enumerate(block):
            name = _found_none(statement)
            line = _attribute_read(block[number + 1 :], name) if name else None
            if line is not None:
                place = run.at((MAIN, line))
                steps = (
                    Step(run.at((MAIN, statement.line)), f"{name} may be None, and the block goes on"),
                    Step(place, f"an attribute of {name} is read on that path, too"),
                )
                yield RULE.finding(f"{name} is used where it may be None", place, steps=steps, facts={"name": name})


def _blocks(nodes: Iterable[object]) -> Iterator[list[ir.Stmt]]:
    """The bodies of all functions."""
    for node in nodes:
        if isinstance(node, ir.Function):
            yield node.body


def _found_none(statement: ir.Stmt) -> str | None:
    """The name that ``if name is None:`` tests, if its body runs to the end and leaves it as it is."""
    if not isinstance(statement, ir.If) or statement.orelse or not isinstance(statement.test, ir.Compare):
        return None
    test = statement.test
    right = test.rights[0]
    none = isinstance(right, ir.Const) and right.value is None
    if not none or test.ops != ["is"] or not isinstance(test.left, ir.Name):
        return None
    name = test.left.id
    for part in ir.nodes(statement.body):
        if isinstance(part, ir.Return | ir.Jump) or _exits(part) or _binds(part, name):
            return None
    return name


def _exits(part: object) -> bool:
    return isinstance(part, ir.Call) and isinstance(part.func, ir.Name | ir.Attribute) and _last(part.func) in EXITS


EXITS = frozenset({"exit", "_exit", "abort", "error", "fail", "skip"})
"""Calls that may not come back."""


def _last(func: ir.Name | ir.Attribute) -> str:
    return func.id if isinstance(func, ir.Name) else func.attr


def _binds(part: object, name: str) -> bool:
    targets = (
        part.targets
        if isinstance(part, ir.Assign)
        else [part.target]
        if isinstance(part, ir.AugAssign | ir.Walrus | ir.For)
        else []
    )
    return any(isinstance(target, ir.Name) and target.id == name for each in targets for target in ir.nodes([each]))


def _attribute_read(block: list[ir.Stmt], name: str) -> int | None:
    """The line where the first statement that names ``name`` reads an attribute of it, and does nothing else with it."""
    for statement in block:
        parts = list(ir.nodes([statement]))
        named = [part for part in parts if isinstance(part, ir.Name) and part.id == name]
        if named:
            read = [part.line for part in parts if isinstance(part, ir.Attribute) and part.value in named]
            return min(read) if len(read) == len(named) else None
    return None
