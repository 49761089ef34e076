"""Names, places and the statements being gathered: what expressions and statements of C share while they are lowered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.native.types import CType, text

if TYPE_CHECKING:
    from tree_sitter import Node

    from pgaudit.program.native.survey import Struct, Survey

RESERVED = frozenset({"range", "len", "print", "min", "max", "unknown", "math", "numpy", "abs"})
"""Names that the lowered text gives its own meaning: variables of C that are called so get an underscore."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: ``base[outer…]``, or for a pointer ``base[outer…, offset:]``."""

    base: ir.Expr
    outer: tuple[ir.Expr, ...] = ()
    offset: ir.Expr | None = None
    type: CType | None = None
    member: bool = False
    """A field, or an array of them over the elements of ``outer``."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A local variable, parameter or global."""

    id: str
    type: CType
    outer: tuple[str | int, ...] = ()
    """Names of the indices of the array element that it stands for (a reference, a struct of an array)."""
    moving: bool = False
    """A pointer whose offset is kept in a variable of its own, ``id@``."""
    boxed: bool = False
    """A reference to a number: it is the one element of a list."""
    shared: bool = False
    """A global, to be declared where it is assigned."""


class Scope:
    """The state of one lowering."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.shift = 0
        """Lines before the text that is parsed (the body of a macro)."""
        self.blocks: list[dict[str, Variable]] = [{}]
        self.out: list[ir.Stmt] = []
        """The statements of the block that is being lowered; effects of expressions are put before their statement."""
        self.assigned: set[str] = set()
        """Names bound so far in the loop body or function that is being lowered."""
        self.owner: Struct | None = None
        self.function_name = ""
        self.globals_set: set[str] = set()
        self.returns: CType = CType("")
        self.pair = False
        self.returned = False
        """A branch before may have returned, so that what follows is not certain to happen."""
        self._fresh = 0

    # --- small parts -----------------------------------------------------------------------------------------------

    def line(self, node: Node) -> int:
        """The 1-based line of a node."""
        return node.start_point[0] + 1 + self.shift

    def emit(self, statement: ir.Stmt) -> None:
        """Add a statement to the current block."""
        self.out.append(statement)

    def bind(self, line: int, name: str, value: ir.Expr) -> None:
        """``name = value``."""
        self.assigned.add(name)
        self.emit(ir.Assign(line, [ir.Name(line, name)], value))

    def keep(self, line: int, value: ir.Expr) -> ir.Expr:
        """The value as it is now, under a name of its own."""
        if isinstance(value, ir.Const):
            return value
        name = self.fresh("@")
        self.bind(line, name, value)
        return ir.Name(line, name)

    def fresh(self, prefix: str) -> str:
        """A name that no source has."""
        self._fresh += 1
        return f"{prefix}{self._fresh}"

    @contextmanager
    def block(self) -> Iterator[list[ir.Stmt]]:
        """Gather the statements of an inner block, with names of its own."""
        outer, self.out = self.out, []
        self.blocks.append({})
        yield self.out
        self.blocks.pop()
        self.out = outer

    # --- names -----------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Variable | None:
        """The variable that a name stands for here."""
        for block in reversed(self.blocks):
            if name in block:
                return block[name]
        return None

    def declare(self, name: str, kind: CType, *, moving: bool = False, boxed: bool = False) -> Variable:
        """A new variable of the current block; one that hides another gets its own name."""
        id_ = f"{name}_" if name in RESERVED or name in self.survey.structs else name
        if any(name in block and not block[name].shared for block in self.blocks[:-1]):
            id_ = self.fresh(f"{id_}@")
        struct = self.survey.struct(kind)
        outer: tuple[str | int, ...] = ()
        if struct is not None and struct.arrayed and kind.depth == 0:
            outer = (0,)
        variable = Variable(id_, replace(kind, reference=False), outer, moving, boxed)
        self.blocks[-1][name] = variable
        return variable

    def set_variable(self, name: str, variable: Variable) -> None:
        """Change what a name of the current block stands for."""
        self.blocks[-1][name] = variable

    def of_variable(self, variable: Variable, line: int) -> Place:
        """The place of a variable."""
        outer = tuple(ir.Name(line, part) if isinstance(part, str) else ir.Const(line, part) for part in variable.outer)
        if variable.boxed:
            outer = (ir.Const(line, 0),)
        offset = ir.Name(line, f"{variable.id}@") if variable.moving else None
        return Place(ir.Name(line, variable.id), outer, offset, variable.type)

    def of_field(self, base: ir.Expr, outer: tuple[ir.Expr, ...], struct: Struct, name: str, line: int) -> Place:
        """The place of a field of an object, or of the element ``outer`` of an array of them."""
        kind = struct.fields.get(name)
        inner = self.survey.struct(kind)
        if not struct.arrayed:
            outer = ()
        if not outer and inner is not None and inner.arrayed and kind is not None and kind.depth == 0:
            outer = (ir.Const(line, 0),)
        return Place(ir.Attribute(line, base, name), outer, None, kind, member=True)

    # --- values ----------------------------------------------------------------------------------------------------

    def value(self, place: Place, line: int) -> ir.Expr:
        """The expression that reads a place, or stores to it as a target."""
        kind = place.type
        if self.survey.struct(kind) is not None:
            return place.base
        parts: list[ir.Expr] = list(place.outer)
        if place.member and kind is not None and kind.depth and not kind.inline:
            parts = []
        if place.offset is not None and not is_zero(place.offset):
            parts.append(ir.Slice(line, place.offset, None, None))
        if not parts:
            return place.base
        return ir.Subscript(line, place.base, index_of(parts))

    def number(self, value: ir.Expr, kind: CType | None) -> ir.Expr:
        """The value as a number of that type: assigning one copies it, whatever it was read from."""
        if kind is None or not kind.number or kind.name in ("bool", "_Bool"):
            return value
        if isinstance(value, ir.Const) and isinstance(value.value, int | float):
            return value
        convert = "float" if kind.floating else "int"
        if isinstance(value, ir.Call) and isinstance(value.func, ir.Name) and value.func.id == convert:
            return value
        return call(value.line, convert, value)

    def unknown_number(self, line: int, values: list[ir.Expr]) -> ir.Expr:
        """Some number that depends on the values."""
        return call(line, "int", unknown(line, values))

    def storage(self, line: int, kind: CType) -> ir.Expr:
        """A fresh variable of that type before anything is assigned to it."""
        struct = self.survey.struct(kind)
        if struct is not None and (kind.depth == 0 or kind.inline):
            return call(line, struct.name)
        if kind.inline:
            return zeros(line)
        return ir.Const(line, 0 if kind.number else None)


def unknown(line: int, values: list[ir.Expr]) -> ir.Expr:
    """A value of which only what it depends on is known: the call of a name that is not defined."""
    return ir.Call(line, ir.Name(line, "unknown"), [ir.Argument(value) for value in values])


def call(line: int, name: str, *args: ir.Expr) -> ir.Expr:
    """``name(args)``."""
    return ir.Call(line, ir.Name(line, name), [ir.Argument(arg) for arg in args])


def zeros(line: int) -> ir.Expr:
    """A fresh table."""
    return ir.Call(line, ir.Attribute(line, ir.Name(line, "numpy"), "zeros"), [ir.Argument(ir.Const(line, 0))])


def index_of(parts: list[ir.Expr]) -> ir.Expr:
    """One index, or the tuple of several."""
    return parts[0] if len(parts) == 1 else ir.Sequence(parts[0].line, "tuple", parts)


def is_zero(value: ir.Expr) -> bool:
    """Is it the literal 0?"""
    return isinstance(value, ir.Const) and type(value.value) is int and value.value == 0


def plus(left: ir.Expr | None, right: ir.Expr, op: str = "+") -> ir.Expr:
    """``left op right`` with literals folded; no ``left`` is 0."""
    if left is None or is_zero(left):
        return right if op == "+" else ir.Unary(right.line, "-", right)
    if is_zero(right):
        return left
    if isinstance(left, ir.Const) and isinstance(right, ir.Const):
        one, other = left.value, right.value
        if isinstance(one, int) and isinstance(other, int):
            return ir.Const(left.line, one + other if op == "+" else one - other)
    return ir.Binary(left.line, op, left, right)


def name_of(node: Node | None) -> str:
    """The last part of a possibly qualified name, without template arguments."""
    while node is not None and node.type in (
        "qualified_identifier",
        "template_function",
        "template_type",
        "template_method",
    ):
        node = node.child_by_field_name("name")
    return text(node)
