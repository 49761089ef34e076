"""The settings of a run: what the script asks for by name, the value that it gets, who set it, and where it is read.

Names of environment variables are an interface of the scripts; where a script asks for none, the constants of its settings
class and of its modules stand for them (``width = 512`` for ``WIDTH``).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pgaudit.engine.folding import UNKNOWN, fold
from pgaudit.engine.transfer.runtime import DEFAULT, is_off
from pgaudit.evidence.run import Run
from pgaudit.finding import Location
from pgaudit.program import ir

CONSTANT = "code"
"""Source of a value that nothing outside the code can set."""
PROCESS = frozenset({"RANK", "LOCAL_RANK", "WORLD_SIZE", "SEED", "RUN_ID"})
"""Names of one process: other code uses the same words for other things (the rank of a matrix)."""
PLAIN_CALLS = {"int": int, "float": float, "bool": bool, "str": str}
WORDS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "none": None}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the run has it."""

    name: str
    """As an environment variable is spelt: ``NUM_LAYERS``."""
    value: str
    source: str
    place: Location
    """Where the script reads it."""
    bound: frozenset[str]
    """Names that the code binds it to."""

    @property
    def is_off(self) -> bool:
        """Does its value mean *off*?"""
        return self.value in ("", "None", "[]", "()") or is_off(self.value)

    def __str__(self) -> str:
        return f"{self.name}={self.value}, {self.source}"


class Settings:
    """Every setting of one run, by name."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.by_name: dict[str, Setting] = {}
        self.values: dict[str, object] = {}
        """Name that the code binds to the value that it then has, where it has only one; ``.name`` for an attribute."""
        self.settings_of: dict[str, str] = {}
        """Name that the code binds to the name of its setting."""
        asked = {_variable(name): value for name, value in run.walk.settings.items()}
        for module, lowered in run.modules.items():
            self._read(module, lowered.body, asked)
        for module, lowered in run.modules.items():
            for name, value, line in _constants(lowered.body):
                self._constant(name, value, run.at((module, line)))

    def get(self, *names: str) -> Setting | None:
        """The first of the names that the script knows; variables before constants."""
        known = [self.by_name[name] for name in names if name in self.by_name]
        return next((setting for setting in known if setting.source != CONSTANT), None) or next(iter(known), None)

    def named_in(self, node: object) -> Iterator[Setting]:
        """The settings that an expression depends on by name."""
        for part in ir.nodes([node]):
            name = identifier(part)
            if name in self.settings_of:
                yield self.by_name[self.settings_of[name]]

    def value(self, node: ir.Expr | None, local: Mapping[str, object] | None = None) -> object:
        """What an expression of settings and literals gives; ``UNKNOWN`` where that cannot be told."""
        names = ChainMap(dict(local), self.values) if local else self.values
        return _value(node, names) if node is not None else UNKNOWN

    def _read(self, module: str, body: Iterable[object], asked: Mapping[str, tuple[str, str]]) -> None:
        for node in ir.nodes(body):
            if isinstance(node, ir.Assign) and node.value is not None and len(node.targets) == 1:
                names = [name for name, _ in _asked_in([node.value], asked)]
                target = identifier(node.targets[0])
                if target and len(set(names)) == 1:
                    self._bind(target, names[0], node.value, asked[names[0]])
        for name, line in _asked_in(body, asked):
            if name not in self.by_name:
                value, source = asked[name]
                bound = frozenset(target for target, setting in self.settings_of.items() if setting == name)
                self.by_name[name] = Setting(name, value, source, self.run.at((module, line)), bound)

    def _bind(self, target: str, name: str, expression: ir.Expr, asked: tuple[str, str]) -> None:
        if name in PROCESS:
            return
        value = _value(expression, {}, {name: asked})
        self.settings_of[target] = name
        self.values[target] = value if self.values.get(target, value) == value else UNKNOWN

    def _constant(self, target: str, value: object, place: Location) -> None:
        name = target.upper()
        if name not in self.by_name and target not in self.settings_of and name not in PROCESS:
            self.by_name[name] = Setting(name, _text(value), CONSTANT, place, frozenset({target}))
            self.settings_of[target] = name
            self.values[target] = value


def identifier(node: object) -> str:
    """The last name of ``a``, ``a.b`` and ``getattr(a, "b")``; empty for anything else."""
    if isinstance(node, ir.Name):
        return node.id
    if isinstance(node, ir.Attribute):
        return node.attr
    if (
        isinstance(node, ir.Call)
        and isinstance(node.func, ir.Name)
        and node.func.id == "getattr"
        and len(node.args) > 1
    ):
        key = node.args[1].value
        return key.value if isinstance(key, ir.Const) and isinstance(key.value, str) else ""
    return ""


def known(*values: object) -> bool:
    """Are all of the values known?"""
    return all(value is not UNKNOWN for value in values)


def _variable(name: str) -> str:
    """``--num-layers`` as ``NUM_LAYERS``."""
    return name[2:].replace("-", "_").upper() if name.startswith("--") else name


def _asked_in(block: Iterable[object], asked: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """Names of settings that code asks for, with the line: as an argument of a call, or as a key."""
    found: list[tuple[str, int]] = []
    for node in ir.nodes(block):
        keys: list[object] = []
        if isinstance(node, ir.Call):
            keys = [argument.value for argument in node.args[: 2 if identifier(node.func) == "add_argument" else 1]]
        elif isinstance(node, ir.Subscript):
            keys = [node.index]
        words = [key for key in keys if isinstance(key, ir.Const) and isinstance(key.value, str)]
        found += [(name, key.line) for key in words if (name := _variable(str(key.value))) in asked]
    yield from sorted(found, key=lambda item: item[1])


def _constants(body: list[ir.Stmt]) -> Iterator[tuple[str, object, int]]:
    """Numbers and words that a module, or a class without a ``forward``, binds to a name.

    What the only object of a class is made with stands for the class's own defaults (a preset in a dataclass).
    """
    calls = [part for part in ir.nodes(body) if isinstance(part, ir.Call) and isinstance(part.func, ir.Name)]
    for statement in body:
        if isinstance(statement, ir.Class):
            methods = {part.name for part in statement.body if isinstance(part, ir.Function)}
            if not methods & {"forward", "step"}:
                made = [call for call in calls if identifier(call.func) == statement.name and call.args]
                given = _keywords(made[0]) if len(made) == 1 else {}
                own = ((name, value, line) for name, value, line in _constants(statement.body) if name not in given)
                yield from (*own, *((name, *found) for name, found in given.items() if _is_plain(found[0])))
        elif isinstance(statement, ir.Assign) and isinstance(statement.targets[0], ir.Name):
            value = _value(statement.value, {}) if statement.value is not None else UNKNOWN
            if _is_plain(value):
                yield statement.targets[0].id, value, statement.line


def _keywords(call: ir.Call) -> dict[str, tuple[object, int]]:
    """The values that a call gives by name, with their lines."""
    named = ((argument.keyword, argument.value) for argument in call.args)
    return {name: (_value(value, {}), value.line) for name, value in named if name and isinstance(value, ir.Node)}


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | str)


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _value(node: ir.Expr, names: Mapping[str, object], asked: Mapping[str, tuple[str, str]] | None = None) -> object:
    """What an expression gives, of literals, of known ``names``, and of settings that are ``asked`` for."""
    if isinstance(node, ir.Const):
        return node.value
    if isinstance(node, ir.Name):
        return names.get(node.id, UNKNOWN)
    if isinstance(node, ir.Attribute):
        return names.get(node.attr, names.get(f".{node.attr}", UNKNOWN))
    if isinstance(node, ir.Unary):
        operand = _value(node.operand, names, asked)
        return UNKNOWN if operand is UNKNOWN else _unary(node.op, operand)
    if isinstance(node, ir.Binary):
        left, right = _value(node.left, names, asked), _value(node.right, names, asked)
        return fold(node.op, left, right) if known(left, right) else UNKNOWN
    if isinstance(node, ir.Compare) and len(node.ops) == 1:
        left, right = _value(node.left, names, asked), _value(node.rights[0], names, asked)
        return fold(node.ops[0], left, right) if known(left, right) else UNKNOWN
    if isinstance(node, ir.Boolean):
        return _boolean(node.op, _value(node.left, names, asked), _value(node.right, names, asked))
    if isinstance(node, ir.Conditional):
        test = _value(node.test, names, asked)
        return UNKNOWN if test is UNKNOWN else _value(node.body if test else node.orelse, names, asked)
    if isinstance(node, ir.Call):
        return _called(node, names, asked or {})
    if isinstance(node, ir.Subscript) and isinstance(node.index, ir.Const) and asked:
        return _given(node, asked)
    return UNKNOWN


def _unary(op: str, operand: object) -> object:
    if op == "not":
        return not operand
    return -operand if op == "-" and isinstance(operand, int | float) else UNKNOWN


def _boolean(op: str, left: object, right: object) -> object:
    """Either side may decide alone."""
    for side in (left, right):
        if side is not UNKNOWN and bool(side) is (op == "or"):
            return side
    return right if known(left, right) else UNKNOWN


def _called(node: ir.Call, names: Mapping[str, object], asked: Mapping[str, tuple[str, str]]) -> object:
    if name := identifier(node):
        return names.get(name, UNKNOWN)
    function = identifier(node.func)
    if function in PLAIN_CALLS and len(node.args) == 1:
        value = _value(node.args[0].value, names, asked)
        try:
            return UNKNOWN if value is UNKNOWN else PLAIN_CALLS[function](value)
        except (TypeError, ValueError, OverflowError):
            return UNKNOWN
    if isinstance(node.func, ir.Attribute) and function in ("lower", "strip", "upper") and not node.args:
        value = _value(node.func.value, names, asked)
        return getattr(value, function)() if isinstance(value, str) else UNKNOWN
    return _given(node, asked)


def _given(node: ir.Expr, asked: Mapping[str, tuple[str, str]]) -> object:
    """What asking for a setting gives: its text from ``os.environ``, a converted value from a helper of the script."""
    found = next(iter(_asked_in([node], asked)), None)
    if found is None:
        return UNKNOWN
    text, source = asked[found[0]]
    if isinstance(node, ir.Call) and identifier(node.func) in ("get", "getenv"):
        default = node.args[1].value if len(node.args) > 1 else None
        return default.value if source == DEFAULT and isinstance(default, ir.Const) else text
    return plain(text)


def plain(text: str) -> object:
    """A setting's text as the value that it most likely stands for."""
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return WORDS.get(text.lower(), text)
