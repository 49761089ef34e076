"""The log as a witness: a line that only a block of the script can have printed proves that the block ran.

Submissions are often run with settings that no file of theirs names. Where the code's own off-default keeps a block from
running and the log holds what only that block prints, the setting was on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from pgaudit.engine.labels import Unset
from pgaudit.engine.machine import Setting, Skipped
from pgaudit.engine.queries import prints, values_in
from pgaudit.engine.transfer.runtime import is_off
from pgaudit.engine.walk import Walk
from pgaudit.program import ir

PRINTING = frozenset({"print", "write", "info"})
LEAST_LETTERS = 5
"""A shorter template could have printed lines of any other."""
MOST_MODULES = 16
"""A run is walked a few times over the same modules; those of the last runs are kept."""
LONGEST_CHAIN = 3
"""Calls followed from a skipped block to the functions that print for it."""


def settings_proven(walk: Walk, modules: Mapping[str, ir.Module], lines: Sequence[str], log: str) -> dict[str, Setting]:
    """Settings that were on in the run that wrote ``lines`` (of the file ``log``), though their default is off.

    A text that several blocks could have printed, or a block that several settings could have opened, proves nothing.
    """
    if not lines:
        return {}
    blocks: dict[str, set[tuple[str, ...]]] = {}
    functions = {name: function for module in modules.values() for name, function in _functions(module).items()}
    printers = {"print"}.union(*(_printers(module) for module in modules.values()))
    for skipped in walk.skipped:
        for template in _templates(skipped, functions, printers):
            blocks.setdefault(template, set()).add(skipped.settings)
    text = "\n".join(lines)
    proven: dict[str, Setting] = {}
    live = {report.template for report in walk.reports}
    for template in sorted(blocks.keys() - live):
        openers = blocks[template]
        (*names,) = next(iter(openers))
        if (
            len(openers) == len(names) == 1
            and names[0] not in proven
            and (number := _line_of(template, lines, text, live))
        ):
            proven[names[0]] = Setting(None, f"{log}:{number} shows that it was on")
    for name, number in _printed_on(walk, lines, text):
        proven.setdefault(name, Setting(None, f"{log}:{number} shows that it was on"))
    return proven


def _printed_on(walk: Walk, lines: Sequence[str], text: str) -> Iterator[tuple[str, int]]:
    """Settings whose off-default a print would show, and whose value the log shows to be another."""
    for report in walk.reports:
        shown = {at: walk.labels.of(hole, Unset) for at, hole in enumerate(report.holes)}
        if any(shown.values()) and (number := _line_of(report.template, lines, text, set())):
            found = values_in(report.template, lines[number - 1])
            for at, unset in shown.items():
                if found and len(unset) == 1 and found[at] and not is_off(found[at]):
                    yield unset[0].setting, number


def _line_of(template: str, lines: Sequence[str], text: str, live: set[str]) -> int | None:
    """The number of the first line that the template can have printed, and none of those that are ``live``."""
    if sum(map(str.isalpha, template)) < LEAST_LETTERS:
        return None
    longest = max((part.strip() for part in template.split("\0")), key=len)
    if longest not in text:
        return None
    return next(
        (
            number
            for number, line in enumerate(lines, 1)
            if longest in line and prints(template, line) and not any(prints(other, line) for other in live)
        ),
        None,
    )


@lru_cache(maxsize=MOST_MODULES)
def _functions(module: ir.Module) -> dict[str, ir.Function]:
    """The functions of a module by name, the last of a name."""
    return {node.name: node for node in ir.nodes(module.body) if isinstance(node, ir.Function)}


@lru_cache(maxsize=MOST_MODULES)
def _printers(module: ir.Module) -> frozenset[str]:
    return frozenset(name for name, function in _functions(module).items() if _hands_on(function))


def _hands_on(function: ir.Function) -> bool:
    """Does a function print what it is given (``log0(message)``)?"""
    given = {param.name for param in function.params}
    return any(
        _name(call) in PRINTING and any(isinstance(a.value, ir.Name) and a.value.id in given for a in call.args)
        for call in _calls(function.body)
    )


def _name(call: ir.Call) -> str:
    return (
        call.func.id
        if isinstance(call.func, ir.Name)
        else call.func.attr
        if isinstance(call.func, ir.Attribute)
        else ""
    )


def _templates(skipped: Skipped, functions: Mapping[str, ir.Function], printers: set[str]) -> Iterator[str]:
    """The texts that a block prints, and those that the functions print which it calls by name."""
    seen: set[str] = set()
    blocks: list[tuple[Iterable[object], int]] = [(skipped.body, 0)]
    while blocks:
        block, depth = blocks.pop()
        for call in _calls(block):
            name = _name(call)
            if name in printers and call.args and (template := _template(call.args[0].value)):
                yield template
            if name in functions and name not in seen and depth < LONGEST_CHAIN:
                seen.add(name)
                blocks.append((functions[name].body, depth + 1))


def _calls(block: Iterable[object]) -> Iterator[ir.Call]:
    return (node for node in ir.nodes(block) if isinstance(node, ir.Call))


def _template(node: ir.Expr) -> str:
    """The text of a string expression, ``\\0`` for each part that is computed; empty for anything else."""
    if isinstance(node, ir.Const):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ir.Format):
        return "".join(part if isinstance(part, str) else "\0" for part in node.parts)
    if isinstance(node, ir.Binary) and node.op == "+":
        left, right = _template(node.left), _template(node.right)
        return f"{left or chr(0)}{right or chr(0)}" if left or right else ""
    return ""
