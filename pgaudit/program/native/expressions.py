"""Expressions of C: effects inside of them become statements before the one that they are part of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.native import literals
from pgaudit.program.native.scope import Place, Scope, Variable, call, index_of, is_zero, name_of, plus, unknown, zeros
from pgaudit.program.native.survey import ALLOCATORS, Survey
from pgaudit.program.native.types import INT, CType, text

if TYPE_CHECKING:
    from tree_sitter import Node

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
TRANSPARENT = frozenset({
    "parenthesized_expression", "cast_expression", "condition_clause", "co_await_expression", "compound_literal_expression",
    "extension_expression", "parameter_pack_expansion",
})  # fmt: skip
LONGEST_LIST = 16
"""Constant arrays of at most this many elements keep their values; longer ones are tables of unknown numbers."""


class Expressions(Scope):
    """One method for each kind of expression."""

    def __init__(self, survey: Survey) -> None:
        super().__init__(survey)
        self._expressions: dict[str, Callable[[Node], ir.Expr]] = {
            "number_literal": lambda node: ir.Const(self.line(node), literals.number(text(node))),
            "string_literal": self._string,
            "raw_string_literal": lambda node: ir.Const(self.line(node), text(node)),
            "concatenated_string": self._concatenated,
            "char_literal": self._character,
            "true": lambda node: ir.Const(self.line(node), True),
            "false": lambda node: ir.Const(self.line(node), False),
            "null": lambda node: ir.Const(self.line(node), None),
            "nullptr": lambda node: ir.Const(self.line(node), None),
            "identifier": self._placed,
            "qualified_identifier": self._placed,
            "field_expression": self._placed,
            "subscript_expression": self._placed,
            "pointer_expression": self._placed,
            "this": self._placed,
            "binary_expression": self._binary,
            "unary_expression": self._unary,
            "conditional_expression": self._conditional,
            "assignment_expression": self._assigned,
            "update_expression": self._updated,
            "comma_expression": self._comma,
            "call_expression": self._call,
            "new_expression": self._new,
            "sizeof_expression": self._size,
            "alignof_expression": self._size,
            "initializer_list": self._list,
            "lambda_expression": self._lambda,
            "delete_expression": lambda node: ir.Const(self.line(node), None),
            "cast_expression": self._cast,
        }

    def expr(self, node: Node | None) -> ir.Expr:
        """Lower one expression."""
        if node is None:
            return ir.Const(1, None)
        handler = self._expressions.get(node.type)
        if handler is not None:
            return handler(node)
        inner = self.inner(node)
        if inner is not None:
            return self.expr(inner)
        return unknown(self.line(node), [self.expr(child) for child in node.named_children if child.type != "comment"])

    def inner(self, node: Node) -> Node | None:
        """The expression inside parentheses or a cast."""
        if node.type not in TRANSPARENT:
            return None
        found = node.child_by_field_name("value")
        if found is not None:
            return found
        children = [child for child in node.named_children if child.type not in ("comment", "type_descriptor")]
        return children[-1] if children else None

    # --- literals --------------------------------------------------------------------------------------------------

    def _string(self, node: Node) -> ir.Expr:
        return ir.Const(self.line(node), literals.unescape(text(node).partition('"')[2].removesuffix('"')))

    def _concatenated(self, node: Node) -> ir.Expr:
        parts = [self.expr(child) for child in node.named_children if child.type == "string_literal"]
        return ir.Const(self.line(node), "".join(str(part.value) for part in parts if isinstance(part, ir.Const)))

    def _character(self, node: Node) -> ir.Expr:
        inside = literals.unescape(text(node).partition("'")[2].removesuffix("'"))
        return ir.Const(self.line(node), ord(inside[0]) if inside else 0)

    def _size(self, node: Node) -> ir.Expr:
        return unknown(self.line(node), [])

    def _list(self, node: Node) -> ir.Expr:
        items = [child for child in node.named_children if child.type != "comment"]
        line = self.line(node)
        if len(items) > LONGEST_LIST:
            return zeros(line)
        return ir.Sequence(line, "list", [self.expr(item) for item in items])

    # --- places ----------------------------------------------------------------------------------------------------

    def _placed(self, node: Node) -> ir.Expr:
        return self.value(self.place(node), self.line(node))

    def place(self, node: Node) -> Place:
        """Where the value of an expression lies; a value that lies nowhere is its own place."""
        line = self.line(node)
        kind = node.type
        if kind in ("identifier", "qualified_identifier", "field_identifier", "type_identifier"):
            return self._named(node, line)
        if kind == "this":
            outer = (ir.Name(line, "self@"),) if self.owner is not None and self.owner.arrayed else ()
            name = self.owner.name if self.owner is not None else ""
            return Place(ir.Name(line, "self"), outer, None, CType(name))
        if kind == "field_expression":
            return self._field(node, line)
        if kind == "subscript_expression":
            return self._subscript(node, line)
        if kind == "pointer_expression":
            return self._pointer(node, line)
        if kind == "update_expression" and (moved := self._moved(node, line)) is not None:
            return moved
        if kind == "binary_expression":
            operator = text(node.child_by_field_name("operator"))
            left = node.child_by_field_name("left")
            known = self.type_of(left)
            if operator in ("+", "-") and left is not None and known is not None and known.depth:
                place = self.place(left)
                by = self.expr(node.child_by_field_name("right"))
                return replace(place, offset=plus(place.offset, by, operator))
        if kind == "call_expression":
            return self._called(node, line)
        if (inner := self.inner(node)) is not None and not (kind == "cast_expression" and self._is_storage(node)):
            place = self.place(inner)
            cast = self.type_of(node) if kind == "cast_expression" else None
            if cast is not None and not (cast.number and place.type is not None and place.type.depth):
                member = place.member and cast.depth == (place.type.depth if place.type else 0)
                return Place(self._cast_base(place, cast, line), place.outer, place.offset, cast, member)
            return place
        return Place(self.expr(node), type=self.type_of(node))

    def _cast_base(self, place: Place, cast: CType, line: int) -> ir.Expr:
        return self.number(place.base, cast) if cast.number and not place.outer else place.base

    def _called(self, node: Node, line: int) -> Place:
        kind = self.type_of(node)
        name = name_of(node.child_by_field_name("function"))
        signature = self.survey.functions.get(name)
        if signature is not None and signature.pair and self.find(name) is None:
            base, offset = self.fresh("@"), self.fresh("@")
            targets: list[ir.Expr] = [ir.Name(line, base), ir.Name(line, offset)]
            self.assigned.update((base, offset))
            self.emit(ir.Assign(line, [ir.Sequence(line, "tuple", targets)], self._call(node)))
            at = ir.Name(line, offset)
            if kind is not None and kind.depth == 0:
                return Place(ir.Name(line, base), (at,), None, kind)
            return Place(ir.Name(line, base), (), at, kind)
        place = self.method_place(node, line)
        return place if place is not None else Place(self._call(node), type=kind)

    def method_place(self, node: Node, line: int) -> Place | None:
        """The place that a method of a container gives."""
        raise NotImplementedError

    def _named(self, node: Node, line: int) -> Place:
        scope = node.child_by_field_name("scope") if node.type == "qualified_identifier" else None
        name = name_of(node)
        if scope is not None and (struct := self.survey.structs.get(text(scope))) and name in struct.statics:
            return Place(ir.Name(line, f"{struct.name}.{name}"), type=INT)
        variable = self.find(name)
        if variable is not None and not variable.shared:
            return self.of_variable(variable, line)
        if self.owner is not None:
            if name in self.owner.fields:
                outer = (ir.Name(line, "self@"),) if self.owner.arrayed else ()
                return self.of_field(ir.Name(line, "self"), outer, self.owner, name, line)
            if name in self.owner.statics:
                return Place(ir.Name(line, f"{self.owner.name}.{name}"), type=INT)
        if variable is not None:
            return self.of_variable(variable, line)
        if name in literals.CONSTANTS:
            return Place(ir.Const(line, literals.CONSTANTS[name]))
        return Place(ir.Name(line, name))

    def _field(self, node: Node, line: int) -> Place:
        argument = node.child_by_field_name("argument")
        name = name_of(node.child_by_field_name("field"))
        if argument is None:
            return Place(ir.Const(line, None))
        place = self.place(argument)
        struct = self.survey.struct(place.type)
        if struct is None:
            if name in ("second", "first", "ptr"):
                return place
            return Place(
                ir.Attribute(line, self.value(place, line), name), type=self.survey.field_type(name), member=True
            )
        outer = place.outer
        if struct.arrayed and place.type is not None and place.type.depth:
            outer = (*outer, place.offset or ir.Const(line, 0))
        return self.of_field(place.base, outer, struct, name, line)

    def _subscript(self, node: Node, line: int) -> Place:
        base = node.child_by_field_name("argument")
        indices = node.child_by_field_name("indices") or node.child_by_field_name("index")
        place = self.place(base) if base is not None else Place(ir.Const(line, None))
        nodes = (
            indices.named_children if indices is not None and indices.type == "subscript_argument_list" else [indices]
        )
        return self.at(place, [self.expr(index) for index in nodes if index is not None])

    def at(self, place: Place, indices: list[ir.Expr]) -> Place:
        """``place[indices]``."""
        outer = place.outer
        if place.member and place.type is not None and place.type.depth and all(is_zero(part) for part in outer):
            outer = ()  # the buffer of a single object
        first = plus(place.offset, indices[0]) if indices else place.offset or ir.Const(place.base.line, 0)
        kind = place.type.element() if place.type is not None else None
        place = Place(place.base, (*outer, first, *indices[1:]), None, kind)
        if kind is not None and kind.depth and not kind.inline and self.survey.struct(kind) is not None:
            return Place(ir.Subscript(first.line, place.base, index_of(list(place.outer))), (), None, kind)
        return place

    def _pointer(self, node: Node, line: int) -> Place:
        argument = node.child_by_field_name("argument")
        if argument is None:
            return Place(ir.Const(line, None))
        place = self.place(argument)
        if argument.type == "this":
            return place
        if text(node).startswith("*"):
            return self.at(place, [ir.Const(line, 0)])
        kind = place.type.pointer() if place.type is not None else None
        if place.outer and not place.member and argument.type not in ("identifier", "this"):
            return Place(place.base, place.outer[:-1], place.outer[-1], kind)
        if (
            place.outer
            and self.survey.struct(place.type) is not None
            and place.type is not None
            and not place.type.depth
        ):
            return Place(place.base, place.outer[:-1], place.outer[-1], kind)
        return replace(place, type=kind if kind is not None and not kind.inline else place.type)

    def pointer_variable(self, node: Node | None) -> Variable | None:
        """The moving pointer that an expression names."""
        variable = self.find(text(node)) if node is not None and node.type == "identifier" else None
        return variable if variable is not None and variable.moving else None

    def _moved(self, node: Node, line: int) -> Place | None:
        """``p++`` of a moving pointer."""
        variable = self.pointer_variable(node.child_by_field_name("argument"))
        if variable is None:
            return None
        prefix = text(node).startswith(("+", "-"))
        offset: ir.Expr = ir.Name(line, f"{variable.id}@")
        if not prefix:
            offset = self.keep(line, offset)
        step = plus(ir.Name(line, f"{variable.id}@"), ir.Const(line, 1), text(node.child_by_field_name("operator"))[0])
        self.bind(line, f"{variable.id}@", step)
        return Place(ir.Name(line, variable.id), (), offset, variable.type)

    # --- operators -------------------------------------------------------------------------------------------------

    def _binary(self, node: Node) -> ir.Expr:
        line = self.line(node)
        operator = text(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if operator in ("&&", "||", "and", "or"):
            return self._boolean(line, left, right, is_and=operator in ("&&", "and"))
        one, other = self.type_of(left), self.type_of(right)
        if one is not None and one.depth and left is not None and right is not None:
            if operator in COMPARISONS | {"-"} and other is not None and other.depth:
                ends = [self.place(left).offset or ir.Const(line, 0), self.place(right).offset or ir.Const(line, 0)]
                if operator == "-":
                    return plus(ends[0], ends[1], "-")
                return ir.Compare(line, ends[0], [operator], [ends[1]])
            if operator in ("+", "-"):
                return self._placed(node)
        first, second = self.expr(left), self.expr(right)
        if operator in COMPARISONS:
            return ir.Compare(line, first, [operator], [second])
        if operator == "/" and one is not None and other is not None and one.integer and other.integer:
            operator = "//"
        return ir.Binary(line, operator, first, second)

    def _boolean(self, line: int, left: Node | None, right: Node | None, *, is_and: bool) -> ir.Expr:
        first = self.expr(left)
        with self.block() as effects:
            second = self.expr(right)
        if not effects:
            return ir.Boolean(line, "and" if is_and else "or", first, second)
        result = self.keep(line, first)
        if isinstance(result, ir.Const):
            result = self.keep(line, unknown(line, [result]))
        assert isinstance(result, ir.Name)
        effects.append(ir.Assign(line, [result], second))
        self.emit(ir.If(line, result, effects if is_and else [], [] if is_and else effects))
        return result

    def _unary(self, node: Node) -> ir.Expr:
        line, operator = self.line(node), text(node.child_by_field_name("operator"))
        operand = self.expr(node.child_by_field_name("argument"))
        if operator == "-" and isinstance(operand, ir.Const) and isinstance(operand.value, int | float):
            return ir.Const(line, -operand.value)
        return ir.Unary(line, "not" if operator in ("!", "not") else operator, operand)

    def _conditional(self, node: Node) -> ir.Expr:
        line = self.line(node)
        test = self.expr(node.child_by_field_name("condition"))
        body_node, orelse_node = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
        with self.block() as before_body:
            body = self.expr(body_node) if body_node is not None else test
        with self.block() as before_orelse:
            orelse = self.expr(orelse_node)
        if not before_body and not before_orelse:
            return ir.Conditional(line, test, body, orelse)
        result = self.fresh("@")
        self.assigned.add(result)
        before_body.append(ir.Assign(line, [ir.Name(line, result)], body))
        before_orelse.append(ir.Assign(line, [ir.Name(line, result)], orelse))
        self.emit(ir.If(line, test, before_body, before_orelse))
        return ir.Name(line, result)

    def _comma(self, node: Node) -> ir.Expr:
        value: ir.Expr = ir.Const(self.line(node), None)
        for child in node.named_children:
            if child.type != "comment":
                self.effect(value)
                value = self.expr(child)
        return value

    def effect(self, value: ir.Expr) -> None:
        """Keep an expression whose value is not used, unless it cannot do anything."""
        if not isinstance(value, ir.Const | ir.Name):
            self.emit(ir.Evaluate(value.line, value))

    def _cast(self, node: Node) -> ir.Expr:
        kind = self.survey.types.read(node.child_by_field_name("type"))
        if self._is_storage(node):
            return self._allocated(self.line(node), kind)
        inner = self.inner(node)
        value = self.expr(inner)
        source = self.type_of(inner)
        if source is not None and source.depth:
            return value
        return ir.Const(value.line, None) if kind.depth and is_zero(value) else self.number(value, kind)

    # --- allocation ------------------------------------------------------------------------------------------------

    def _is_storage(self, node: Node) -> bool:
        """Is it a cast of fresh memory to a pointer?"""
        inner = self.inner(node)
        return inner is not None and inner.type == "call_expression" and self.is_allocation(inner)

    def is_allocation(self, node: Node) -> bool:
        """Does the call return fresh memory: an allocator, or a wrapper of one that is told a size?"""
        name = name_of(node.child_by_field_name("function"))
        if name in ALLOCATORS:
            return True
        signature = self.survey.functions.get(name)
        arguments = node.child_by_field_name("arguments")
        return signature is not None and signature.returns == CType("void", 1) and "sizeof" in text(arguments)

    def _allocated(self, line: int, kind: CType | None) -> ir.Expr:
        struct = self.survey.struct(kind)
        return call(line, struct.name) if struct is not None and kind is not None and kind.depth == 1 else zeros(line)

    def _new(self, node: Node) -> ir.Expr:
        line = self.line(node)
        kind = self.survey.types.read(node.child_by_field_name("type"))
        struct = self.survey.struct(kind)
        if struct is None:
            return zeros(line)
        arguments = node.child_by_field_name("arguments")
        return (
            call(line, struct.name, *(self.expr(child) for child in arguments.named_children))
            if arguments
            else call(line, struct.name)
        )

    def converted(self, node: Node, kind: CType | None) -> ir.Expr:
        """An expression as it is assigned to a variable of that type."""
        core: Node | None = node
        while core is not None and core.type in TRANSPARENT:
            core = self.inner(core)
        if core is not None and core.type == "call_expression" and self.is_allocation(core):
            cast = self.type_of(node)
            return self._allocated(self.line(node), kind if self.survey.struct(kind) is not None else cast)
        value = self.expr(node)
        if kind is not None and kind.depth and is_zero(value):
            return ir.Const(value.line, None)
        return self.number(value, kind)

    # --- supplied by further rooms ---------------------------------------------------------------------------------

    def type_of(self, node: Node | None) -> CType | None:
        """The type of an expression, as far as it is known."""
        raise NotImplementedError

    def _call(self, node: Node) -> ir.Expr:
        raise NotImplementedError

    def _assigned(self, node: Node) -> ir.Expr:
        raise NotImplementedError

    def _updated(self, node: Node) -> ir.Expr:
        raise NotImplementedError

    def _lambda(self, node: Node) -> ir.Expr:
        raise NotImplementedError
