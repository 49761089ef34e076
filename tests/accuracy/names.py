"""Which identifiers of a script are its own, so that renaming them changes nothing that the script does.

An identifier has one fate in the whole script, as a name and as an attribute. It stays as it was where there is doubt:
a string holds it, an import binds it, a call by keyword may reach foreign code, an attribute may be torch's.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from string import ascii_letters

import libcst as cst

from tests.accuracy.foreign import CALLED_BACK, FOREIGN, MAKES_KEYS

_WORD = re.compile(r"[^\W\d]\w*")
_LIST_OF_NAMES = re.compile(r"[\w.-]+(?:\s*,\s*[\w.-]+)*")
"""One name, a dotted one, an option, or several with commas between them; prose has blanks."""
_DOTTED = re.compile(r"[\w.]*\.[\w.]*")
"""A piece of a parameter's name that is put together: ``f"blocks.{index}.weight"``."""
_READERS = ("getattr", "setattr", "hasattr")
_TAKEN = frozenset((*dir(builtins), *keyword.kwlist, *keyword.softkwlist))


@dataclass(slots=True)
class Use:
    """How a script uses identifiers; collected in one pass."""

    bound: set[str] = field(default_factory=set)
    """As variables, parameters, functions or classes."""
    fields: set[str] = field(default_factory=set)
    """As methods, in class bodies, or on the first parameter of a method."""
    defined: set[str] = field(default_factory=set)
    """Functions, and classes with a constructor: calls of these names reach the script's own parameters."""
    methods: set[str] = field(default_factory=set)
    open_ended: set[str] = field(default_factory=set)
    """Functions, methods and classes that take any keyword and may pass it on."""
    imported: set[str] = field(default_factory=set)
    literals: set[str] = field(default_factory=set)
    """Words of string literals that may be names: read by ``getattr``, as keys, as argparse's destinations."""
    prefixes: set[str] = field(default_factory=set)
    """What attribute names put together at run time begin with."""
    doubtful: set[str] = field(default_factory=set)
    """Keywords of calls that reach code which cannot be told to be the script's own or foreign."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """New names by old ones."""

    names: Mapping[str, str]
    attributes: Mapping[str, str]
    imported: frozenset[str]
    """What hangs on these names is foreign."""
    keywords_of: frozenset[str]
    """Functions, classes and methods whose keywords are renamed with their parameters."""


def renaming(module: cst.Module, others: Iterable[str] = ()) -> Renaming:
    """What may be renamed, and to what; ``others`` are words that other files of the submission use."""
    visitor = _Collector()
    module.visit(visitor)
    use = visitor.use
    kept = _TAKEN | use.imported | use.literals | use.doubtful | frozenset(others)
    kept |= {name for name in use.bound | use.fields if name.startswith(("__", *use.prefixes)) or name == "_"}
    attributes = use.fields - kept - FOREIGN - CALLED_BACK
    names = use.bound - (use.fields - attributes) - kept
    fresh = _fresh(frozenset(names | attributes), module.code)
    return Renaming(
        {name: fresh[name] for name in names},
        {name: fresh[name] for name in attributes},
        frozenset(use.imported),
        frozenset(use.defined | (use.methods - FOREIGN)) - use.imported,
    )


def words(text: str) -> frozenset[str]:
    """Every identifier-like word of a text."""
    return frozenset(_WORD.findall(text))


def _fresh(names: frozenset[str], text: str) -> dict[str, str]:
    """Names without a meaning, as long as the old ones: the size of a script is a fact that rules look at.

    All are replaced at once, so a new name may be what another one was called before.
    """
    taken = (words(text) - names) | FOREIGN | _TAKEN
    free: dict[int, Iterator[str]] = {}
    fresh: dict[str, str] = {}
    for name in sorted(names, reverse=True):
        length = len(name)
        spellings = free.setdefault(length, (each for each in _spellings(length) if each not in taken))
        fresh[name] = next(spellings)
    return fresh


def _spellings(length: int) -> Iterator[str]:
    """Every identifier of a length, the least telling first."""
    if length > 1:
        tails = (f"{number:0{length - 1}d}" for number in range(10 ** (length - 1)))
        yield from (f"{head}{tail}" for tail in tails for head in ("qxz" if length > 2 else ascii_letters))
    yield from map("".join, product(ascii_letters, repeat=length))


def root(node: cst.BaseExpression) -> str:
    """The name that a chain of attributes begins with; empty where it begins with something else."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


def last_name(node: cst.BaseExpression) -> str:
    """The name that a chain of attributes ends with: ``f`` of ``f``, ``m`` of ``a.b.m``; empty for anything else."""
    if isinstance(node, cst.Attribute):
        return node.attr.value
    return node.value if isinstance(node, cst.Name) else ""


class _Collector(cst.CSTVisitor):
    """One pass over the script; classes and functions are kept on a stack to know what ``self`` is."""

    def __init__(self) -> None:
        self.use = Use()
        self._scopes: list[cst.ClassDef | cst.FunctionDef] = []
        self._selves: list[str] = []
        self._calls: list[tuple[cst.Call, frozenset[str]]] = []

    # --- bindings --------------------------------------------------------------------------------------------------

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self._bind(node.name.value)
        marks = (each.decorator for each in node.decorators)
        if any(last_name(mark.func if isinstance(mark, cst.Call) else mark) == "dataclass" for mark in marks):
            self.use.defined.add(node.name.value)
        self._scopes.append(node)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:
        self._scopes.pop()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        owner = self._scopes[-1] if self._scopes else None
        self._bind(node.name.value)
        first = next(iter((*node.params.posonly_params, *node.params.params)), None)
        if isinstance(owner, cst.ClassDef):
            self.use.methods.add(node.name.value)
            self._selves.append(first.name.value if first else "")
        else:
            self._selves.append(self._selves[-1] if self._selves else "")
        makes = isinstance(owner, cst.ClassDef) and node.name.value == "__init__"
        name = owner.name.value if owner and makes else node.name.value
        if makes or not isinstance(owner, cst.ClassDef):
            self.use.defined.add(name)
        if node.params.star_kwarg:
            self.use.open_ended.add(name)
        self._scopes.append(node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._scopes.pop()
        self._selves.pop()

    def _bind(self, name: str) -> None:
        self.use.bound.add(name)
        if self._scopes and isinstance(self._scopes[-1], cst.ClassDef):
            self.use.fields.add(name)

    def visit_Param(self, node: cst.Param) -> None:
        self.use.bound.add(node.name.value)

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self._target(node.target)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        self._target(node.target)

    def visit_AugAssign(self, node: cst.AugAssign) -> None:
        self._target(node.target)

    def visit_For(self, node: cst.For) -> None:
        self._target(node.target)

    def visit_CompFor(self, node: cst.CompFor) -> None:
        for name in _names_of(node.target):
            self.use.bound.add(name)

    def visit_NamedExpr(self, node: cst.NamedExpr) -> None:
        self._target(node.target)

    def visit_AsName(self, node: cst.AsName) -> None:
        self._target(node.name)

    def _target(self, node: cst.BaseExpression) -> None:
        if isinstance(node, cst.Attribute):
            if self._is_self(node.value):
                self.use.fields.add(node.attr.value)
        elif isinstance(node, cst.Tuple | cst.List):
            for element in node.elements:
                self._target(element.value)
        elif isinstance(node, cst.Name):
            self._bind(node.value)

    def _is_self(self, node: cst.BaseExpression) -> bool:
        return isinstance(node, cst.Name) and bool(self._selves) and node.value == self._selves[-1]

    # --- what keeps a name as it is --------------------------------------------------------------------------------

    def visit_Import(self, node: cst.Import) -> bool:
        for alias in node.names:
            self.use.imported |= _alias(alias)
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        if not isinstance(node.names, cst.ImportStar):
            for alias in node.names:
                self.use.imported |= _alias(alias)
        return False

    def visit_MatchAs(self, node: cst.MatchAs) -> None:
        self.use.doubtful |= {node.name.value} if node.name else set()

    def visit_MatchKeywordElement(self, node: cst.MatchKeywordElement) -> None:
        self.use.doubtful.add(node.key.value)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        text = str(node.raw_value)
        if _LIST_OF_NAMES.fullmatch(text):
            self.use.literals |= words(text) | words(text.replace("-", "_"))

    def visit_FormattedStringText(self, node: cst.FormattedStringText) -> None:
        if _DOTTED.fullmatch(node.value):
            self.use.literals |= words(node.value)

    def visit_Call(self, node: cst.Call) -> None:
        keywords = frozenset(argument.keyword.value for argument in node.args if argument.keyword)
        if keywords:
            self._calls.append((node, keywords))
        if last_name(node.func) in _READERS and len(node.args) > 1:
            text = node.args[1].value
            if isinstance(text, cst.FormattedString) and isinstance(text.parts[0], cst.FormattedStringText):
                self.use.prefixes.add(text.parts[0].value)

    def leave_Module(self, original_node: cst.Module) -> None:
        for node, keywords in self._calls:
            if not self._known(node.func):
                self.use.doubtful |= keywords

    def _known(self, function: cst.BaseExpression) -> bool:
        """Whether a call certainly reaches the script's own parameters, or certainly does not."""
        use, name = self.use, last_name(function)
        if not name or name in MAKES_KEYS or name in use.open_ended:
            return False
        if root(function) in use.imported:
            return True
        if isinstance(function, cst.Name):
            return name in use.defined or (name in _TAKEN and name not in use.bound)
        return (name in use.methods) != (name in FOREIGN)


def _alias(alias: cst.ImportAlias) -> set[str]:
    if alias.asname and isinstance(alias.asname.name, cst.Name):
        return {alias.asname.name.value}
    return {root(alias.name)}


def _names_of(node: cst.BaseExpression) -> list[str]:
    if isinstance(node, cst.Tuple | cst.List):
        return [name for element in node.elements for name in _names_of(element.value)]
    return [node.value] if isinstance(node, cst.Name) else []
