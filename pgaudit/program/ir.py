"""The lowered program: some forty node types, each with the line it starts on, and nothing about layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args


@dataclass(slots=True, eq=False)
class Node:
    """Anything with a place. Nodes compare by identity: the engine uses them as keys of loops and call sites."""

    line: int


# --- expressions ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Const(Node):
    """A literal: number, string, bytes, bool, ``None`` or ``...``."""

    value: object


@dataclass(slots=True, eq=False)
class Name(Node):
    id: str


@dataclass(slots=True, eq=False)
class Attribute(Node):
    value: Expr
    attr: str


@dataclass(slots=True, eq=False)
class Slice(Node):
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


@dataclass(slots=True, eq=False)
class Subscript(Node):
    """``value[index]``; several comma-separated indices make one ``Sequence`` of kind ``tuple``."""

    value: Expr
    index: Expr


@dataclass(slots=True, eq=False)
class Starred(Node):
    value: Expr


@dataclass(slots=True, eq=False)
class Argument:
    """One argument of a call: positional, ``*value``, ``keyword=value`` or ``**value`` (``star`` of one or two)."""

    value: Expr
    keyword: str | None = None
    star: int = 0


@dataclass(slots=True, eq=False)
class Call(Node):
    func: Expr
    args: list[Argument]


@dataclass(slots=True, eq=False)
class Binary(Node):
    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Unary(Node):
    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Boolean(Node):
    op: Literal["and", "or"]
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Compare(Node):
    left: Expr
    ops: list[str]
    rights: list[Expr]


@dataclass(slots=True, eq=False)
class Conditional(Node):
    test: Expr
    body: Expr
    orelse: Expr


@dataclass(slots=True, eq=False)
class Sequence(Node):
    kind: Literal["list", "tuple", "set"]
    items: list[Expr]


@dataclass(slots=True, eq=False)
class Dictionary(Node):
    """``None`` as key stands for ``**value``."""

    items: list[tuple[Expr | None, Expr]]


@dataclass(slots=True, eq=False)
class Generator:
    """One ``for target in iterable if …`` of a comprehension."""

    target: Expr
    iterable: Expr
    conditions: list[Expr]


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    kind: Literal["list", "set", "dict", "generator"]
    element: Expr
    """The element, or the value of a dict comprehension."""
    key: Expr | None
    generators: list[Generator]


@dataclass(slots=True, eq=False)
class Format(Node):
    """An f-string: literal text and expressions in order."""

    parts: list[str | Expr]


@dataclass(slots=True, eq=False)
class Walrus(Node):
    target: Name
    value: Expr


@dataclass(slots=True, eq=False)
class Yield(Node):
    value: Expr | None


@dataclass(slots=True, eq=False)
class Parameter:
    name: str
    default: Expr | None = None
    kind: Literal["plain", "keyword-only", "*", "**"] = "plain"


@dataclass(slots=True, eq=False)
class Function(Node):
    """A ``def`` or ``lambda`` (``name`` is ``<lambda>``, the body one ``Return``)."""

    name: str
    params: list[Parameter]
    body: list[Stmt]
    decorators: list[Expr] = field(default_factory=list)
    is_generator: bool = False
    returns: str = ""
    """The return annotation, where it is one name (``None``, ``int``)."""


# --- statements ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Evaluate(Node):
    """An expression statement."""

    value: Expr


@dataclass(slots=True, eq=False)
class Assign(Node):
    targets: list[Expr]
    value: Expr | None
    """``None`` for a bare annotation."""


@dataclass(slots=True, eq=False)
class AugAssign(Node):
    op: str
    target: Expr
    value: Expr


@dataclass(slots=True, eq=False)
class If(Node):
    test: Expr
    body: list[Stmt]
    orelse: list[Stmt]


@dataclass(slots=True, eq=False)
class For(Node):
    target: Expr
    iterable: Expr
    body: list[Stmt]
    orelse: list[Stmt]
    carried: frozenset[str] = frozenset()
    """Names that the body assigns: candidates for values carried from one iteration to the next."""


@dataclass(slots=True, eq=False)
class While(Node):
    test: Expr
    body: list[Stmt]
    orelse: list[Stmt]
    carried: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class With(Node):
    items: list[tuple[Expr, Expr | None]]
    body: list[Stmt]


@dataclass(slots=True, eq=False)
class Handler:
    name: str | None
    body: list[Stmt]


@dataclass(slots=True, eq=False)
class Try(Node):
    body: list[Stmt]
    handlers: list[Handler]
    orelse: list[Stmt]
    final: list[Stmt]


@dataclass(slots=True, eq=False)
class Return(Node):
    value: Expr | None


@dataclass(slots=True, eq=False)
class Jump(Node):
    kind: Literal["break", "continue", "raise"]


@dataclass(slots=True, eq=False)
class Import(Node):
    """``import a.b as c`` (``names`` empty) or ``from a import b as c``; ``names`` maps bound name to imported name."""

    module: str
    bound: str | None
    names: dict[str, str]


@dataclass(slots=True, eq=False)
class Scope(Node):
    """``global`` or ``nonlocal``."""

    kind: Literal["global", "nonlocal"]
    names: list[str]


@dataclass(slots=True, eq=False)
class Delete(Node):
    targets: list[Expr]


@dataclass(slots=True, eq=False)
class Class(Node):
    name: str
    bases: list[Expr]
    body: list[Stmt]
    decorators: list[Expr] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Match(Node):
    """A ``match``: patterns are not modelled, each case is a possible branch binding ``names`` to parts of the subject."""

    subject: Expr
    cases: list[tuple[list[str], list[Stmt]]]


Expr = (
    Const | Name | Attribute | Slice | Subscript | Starred | Call | Binary | Unary | Boolean | Compare | Conditional
    | Sequence | Dictionary | Comprehension | Format | Walrus | Yield | Function
)  # fmt: skip
Stmt = (
    Evaluate | Assign | AugAssign | If | For | While | With | Try | Return | Jump | Import | Scope | Delete | Class
    | Match | Function
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Module:
    """One lowered source text."""

    name: str
    body: list[Stmt]


Part = Node | Argument | Generator | Handler | Parameter
"""Whatever a program is made of."""
_PLAIN = frozenset({"str", "str | None", "int", "bool", "list[str]", "frozenset[str]"})
_HOLDING: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind) if field.type not in _PLAIN)
    for kind in dict.fromkeys((*get_args(Expr), *get_args(Stmt), *get_args(Part)))
}
"""The fields of every class that may hold parts."""


def children(part: Part) -> list[Part]:
    """The parts right below one, those in its lists among them."""
    found: list[Part] = []
    pending = [getattr(part, name) for name in reversed(_HOLDING[type(part)])]
    while pending:
        value = pending.pop()
        if type(value) in _HOLDING:
            found.append(value)
        elif isinstance(value, (list, tuple)):
            pending += reversed(value)
    return found


def nodes(block: Iterable[object]) -> Iterator[Part]:
    """Every part of a block, in no particular order."""
    pending: list[Any] = [*block]
    while pending:
        part = pending.pop()
        holding = _HOLDING.get(type(part))
        if holding is not None:
            yield part
            pending += [getattr(part, name) for name in holding]
        elif isinstance(part, (list, tuple)):
            pending += part
