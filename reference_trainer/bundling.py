"""Bundles what a preset uses of this package into one `train_gpt.py` that runs by itself and reads like its modules.

The unit is a top-level statement with the comments above it. A statement is kept if the script or a kept statement names it, so that
top-level names are unique over the package, and modules import each other's names at the top. In a `match` on a field of the
preset, arms that none of its values takes are left out first: what only other presets need is then named nowhere.
"""

import ast
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from textwrap import indent, wrap

from reference_trainer.preset import Preset

PACKAGE = "reference_trainer"
ROOT = Path(__file__).parent
WIDTH = 120
ONE_LINE = 90  # the longest setting that stands on one line


@dataclass(frozen=True)
class Import:
    """One imported name: `import module as bound`, or `from module import name as bound`."""

    module: str
    name: str | None
    bound: str

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def line(self) -> str:
        """What stands in the import statement for it."""
        if self.name is not None:
            return self.name if self.name == self.bound else f"{self.name} as {self.bound}"
        return f"import {self.module}" if self.bound == self.package else f"import {self.module} as {self.bound}"


@dataclass(frozen=True)
class Statement:
    """A definition or an assignment with the comments above it."""

    text: str
    defines: frozenset[str]
    uses: frozenset[str]  # names of this package
    foreign: frozenset[Import]  # names of other packages
    attached: bool  # no blank line is above it


@dataclass(frozen=True)
class Module:
    """A module of the package, taken apart."""

    name: str
    title: str  # the first line of its docstring
    imports: dict[str, Import]  # by the name that they bind
    statements: list[Statement]


USAGE = """This file is the reference trainer's modules, as far as the preset at the end uses them. It runs by itself:

    SEED=1337 torchrun --standalone --nproc_per_node=8 train_gpt.py

DATA_PATH is the folder with the token shards, TOKENIZER_PATH the SentencePiece model. The log goes to logs/, the weights to
final_model.bin.
"""
TAIL_IMPORTS = {Import("sys", None, "sys"), Import("pathlib", "Path", "Path")}
TAIL = """if __name__ == "__main__":
    sys.exit(run_script(PRESET, Path(__file__).read_text("utf-8")))
"""


def bundle(preset: Preset) -> str:
    """The text of `train_gpt.py`."""
    setting = f"PRESET = {spell(preset)}\n"
    head = f'"""{preset.summary}\n\n{USAGE}"""'
    modules = load_modules(values_by_field(preset))
    kept = reach(modules, names_used(ast.parse(setting + TAIL)))
    sections = [f"{head}\n\n{import_lines(kept)}"]
    sections += [f"{banner(module)}\n\n{body}" for module in modules if (body := kept_text(module, kept))]
    return "\n\n\n".join([*sections, setting.rstrip(), TAIL])


def banner(module: Module) -> str:
    rule = f"# {'-' * (WIDTH - 20)}"
    title = wrap(f"{module.name}: {module.title}", WIDTH - 20, initial_indent="# ", subsequent_indent="# ")
    return "\n".join([rule, *title, rule])


def kept_text(module: Module, kept: Sequence[Statement]) -> str:
    """What is kept of a module; statements that follow each other without a blank line still do."""
    text = ""
    for before, statement in zip([None, *module.statements], module.statements, strict=False):
        if statement in kept:
            between = "\n" if statement.attached and before in kept else "\n\n\n"
            text += (between if text else "") + statement.text
    return text


def spell(value: object) -> str:
    """The expression that makes a setting, with every field, defaults included."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        opening, parts = "(", [spell(part) for part in value]
    elif is_dataclass(value):
        opening = f"{type(value).__name__}("
        parts = [f"{entry.name}={spell(getattr(value, entry.name))}" for entry in fields(value)]
    else:
        return repr(value)
    trailing = "," if isinstance(value, tuple) and len(parts) == 1 else ""
    line = f"{opening}{', '.join(parts)}{trailing})"
    if len(line) <= ONE_LINE:
        return line
    listed = indent(",\n".join(parts), "    ")
    return f"{opening}\n{listed},\n)"


# Modules, in the order of their imports


def load_modules(held: dict[str, list[object]]) -> list[Module]:
    """`run` and all that it imports, each module behind those that it imports itself."""
    loaded: dict[str, Module] = {}

    def load(name: str) -> None:
        if name in loaded:
            return
        path = ROOT.joinpath(*name.split(".")[1:]).with_suffix(".py")
        module = take_apart(name, without_other_arms(path.read_text("utf-8"), held))
        used = {name for statement in module.statements for name in statement.uses}
        for imported in module.imports.values():
            if imported.package == PACKAGE and imported.bound in used:
                load(imported.module)
        loaded[name] = module

    load(f"{PACKAGE}.preset")
    load(f"{PACKAGE}.run")
    return list(loaded.values())


def take_apart(name: str, text: str) -> Module:
    tree = ast.parse(text)
    lines = text.splitlines()
    imports = {
        imported.bound: imported
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for imported in imports_of(node)
    }
    known = {bound for bound, imported in imports.items() if imported.package == PACKAGE}
    known |= {defined for node in tree.body for defined in names_defined(node)}
    statements = []
    end = 0  # lines up to here belong to the statements so far
    for node in tree.body:
        assert node.end_lineno is not None
        if defined := names_defined(node):
            above = "\n".join(lines[end : node.end_lineno])
            used = names_used(node)
            foreign = frozenset(
                imports[used_name] for used_name in used if used_name in imports and used_name not in known
            )
            attached = not above.startswith("\n")
            statements.append(Statement(above.strip("\n"), defined, used & known, foreign, attached))
        end = node.end_lineno
    title = (ast.get_docstring(tree) or name).partition("\n")[0]
    return Module(name.removeprefix(f"{PACKAGE}."), title, imports, statements)


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            yield Import(node.module, alias.name, alias.asname or alias.name)
        else:
            yield Import(alias.name, None, alias.asname or alias.name.partition(".")[0])


def names_defined(node: ast.stmt) -> frozenset[str]:
    """What a top-level statement binds; nothing for a docstring or `if __name__ == "__main__"`."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return frozenset({name})
        case ast.Assign() | ast.AnnAssign():
            stored = (part for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))
            return frozenset(part.id for part in stored)
    return frozenset()


def names_used(node: ast.AST) -> frozenset[str]:
    return frozenset(
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    )


# What the preset uses


def reach(modules: list[Module], wanted: frozenset[str]) -> list[Statement]:
    """The statements that define the wanted names, and those that they need in turn."""
    statements = {
        name: statement for module in modules for statement in module.statements for name in statement.defines
    }
    reached: set[Statement] = set()
    open_names = set(wanted)
    while open_names:
        statement = statements.get(open_names.pop())
        if statement is not None and statement not in reached:
            reached.add(statement)
            open_names |= statement.uses
    return [statement for module in modules for statement in module.statements if statement in reached]


def values_by_field(settings: object) -> dict[str, list[object]]:
    """Every value that the preset holds, by the name of its field."""
    held: dict[str, list[object]] = defaultdict(list)

    def visit(value: object) -> None:
        if isinstance(value, tuple):
            for part in value:
                visit(part)
        elif is_dataclass(value) and not isinstance(value, type):
            for entry in fields(value):
                part = getattr(value, entry.name)
                held[entry.name].append(part)
                visit(part)

    visit(settings)
    return held


def without_other_arms(text: str, held: dict[str, list[object]]) -> str:
    """The text without the arms of `match` statements on a field of the preset that no value there takes."""
    lines = text.splitlines()
    dropped: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Match) and (values := held.get(subject_field(node.subject))):
            for case in node.cases:
                if not any(takes(case.pattern, value) for value in values):
                    dropped |= set(range(case.pattern.lineno - 1, case.body[-1].end_lineno or 0))
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped) + "\n"


def subject_field(subject: ast.expr) -> str:
    """`method` of `plan.method`, and of a variable with that name."""
    match subject:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def takes(pattern: ast.pattern, value: object) -> bool:
    """May the pattern match the value? Only what certainly does not is told."""
    match pattern:
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return takes(inner, value)
        case ast.MatchClass(cls=ast.Name(id=name)):
            return type(value).__name__ == name
        case ast.MatchValue(value=ast.Constant(value=constant)) | ast.MatchSingleton(value=constant):
            return value == constant
        case ast.MatchOr(patterns=patterns):
            return any(takes(part, value) for part in patterns)
    return True


# Imports


def import_lines(kept: list[Statement]) -> str:
    """What the kept statements use of other packages: the standard library first."""
    used = {foreign for statement in kept for foreign in statement.foreign} | TAIL_IMPORTS
    standard = {entry for entry in used if entry.package in sys.stdlib_module_names}
    return "\n\n".join("\n".join(format_imports(group)) for group in (standard, used - standard))


def format_imports(group: set[Import]) -> list[str]:
    """`import` lines, then one `from` line per module."""
    plain = sorted(entry.line for entry in group if entry.name is None)
    modules = sorted({entry.module for entry in group if entry.name is not None})
    named = [
        (module, sorted(entry.line for entry in group if entry.name and entry.module == module)) for module in modules
    ]
    return plain + [from_line(module, names) for module, names in named]


def from_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    listed = "".join(f"    {name},\n" for name in names)
    return f"from {module} import (\n{listed})"


def packages_used(script: str) -> list[str]:
    """The packages that a bundled script imports, without those of Python itself."""
    nodes = [node for node in ast.parse(script).body if isinstance(node, ast.Import | ast.ImportFrom)]
    packages = {imported.package for node in nodes for imported in imports_of(node)}
    return sorted(packages - sys.stdlib_module_names)
