"""Calls of C: functions of the source with their out-parameters, the library, and methods of objects and containers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.native import library, literals
from pgaudit.program.native.expressions import COMPARISONS, Expressions
from pgaudit.program.native.scope import Place, call, is_zero, name_of, unknown, zeros
from pgaudit.program.native.survey import Parameter, Signature, Struct
from pgaudit.program.native.types import DOUBLE, FLOATS, INT, INTEGERS, CType, text

if TYPE_CHECKING:
    from tree_sitter import Node

CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast", "bit_cast"})


class Calls(Expressions):
    """The rooms of calls and of types."""

    # --- types of expressions --------------------------------------------------------------------------------------

    def type_of(self, node: Node | None) -> CType | None:
        """The type of an expression, as far as it is known."""
        if node is None:
            return None
        kind = node.type
        if kind == "number_literal":
            return DOUBLE if isinstance(literals.number(text(node)), float) else INT
        if kind in ("char_literal", "sizeof_expression", "true", "false"):
            return INT
        if kind in ("identifier", "qualified_identifier"):
            return self._type_of_name(node)
        if kind == "cast_expression":
            return self.survey.types.read(node.child_by_field_name("type"))
        if kind == "this":
            return CType(self.owner.name, 1) if self.owner is not None else None
        if kind == "field_expression":
            return self._type_of_field(node)
        if kind == "subscript_expression":
            inner = self.type_of(node.child_by_field_name("argument"))
            return inner.element() if inner is not None else None
        if kind == "pointer_expression":
            inner = self.type_of(node.child_by_field_name("argument"))
            return inner if inner is None else inner.element() if text(node).startswith("*") else inner.pointer()
        if kind == "call_expression":
            return self._type_of_call(node)
        if kind == "new_expression":
            return self.survey.types.read(node.child_by_field_name("type")).pointer()
        if kind == "binary_expression":
            return self._type_of_binary(node)
        if kind == "conditional_expression":
            return self.type_of(node.child_by_field_name("consequence")) or self.type_of(
                node.child_by_field_name("alternative")
            )
        if kind == "assignment_expression":
            return self.type_of(node.child_by_field_name("left"))
        if kind in ("update_expression", "unary_expression"):
            return self.type_of(node.child_by_field_name("argument"))
        inner_node = self.inner(node)
        return self.type_of(inner_node) if inner_node is not None else None

    def _type_of_name(self, node: Node) -> CType | None:
        name = name_of(node)
        variable = self.find(name)
        if variable is not None and not variable.shared:
            return variable.type
        if self.owner is not None and name in self.owner.fields:
            return self.owner.fields[name]
        return variable.type if variable is not None else None

    def _type_of_field(self, node: Node) -> CType | None:
        name = name_of(node.child_by_field_name("field"))
        outer = self.type_of(node.child_by_field_name("argument"))
        struct = self.survey.struct(outer)
        if struct is None and name in ("second", "first", "ptr"):
            return outer
        return struct.fields.get(name) if struct is not None else self.survey.field_type(name)

    def _type_of_binary(self, node: Node) -> CType | None:
        operator = text(node.child_by_field_name("operator"))
        if operator in COMPARISONS or operator in ("&&", "||"):
            return INT
        left = self.type_of(node.child_by_field_name("left"))
        right = self.type_of(node.child_by_field_name("right"))
        if left is not None and left.depth:
            return INT if operator == "-" and right is not None and right.depth else replace(left, inline=False)
        if right is not None and right.depth:
            return replace(right, inline=False)
        return next((side for side in (left, right) if side is not None and side.floating), left or right)

    def _type_of_call(self, node: Node) -> CType | None:
        function = node.child_by_field_name("function")
        name = name_of(function)
        if function is not None and function.type == "template_function" and name in CASTS:
            arguments = function.child_by_field_name("arguments")
            return (
                self.survey.types.read(arguments.named_children[0]) if arguments and arguments.named_children else None
            )
        if function is not None and function.type == "field_expression":
            name = name_of(function.child_by_field_name("field"))
            receiver = self.type_of(function.child_by_field_name("argument"))
            if self.survey.struct(receiver) is None or (receiver is not None and receiver.inline):
                if name in library.SAME:
                    return receiver
                if name in library.READS | library.ENDS:
                    return receiver.element() if receiver is not None else None
                return INT if name in library.LENGTHS else None
        if name in self.survey.structs:
            return CType(name)
        if name in INTEGERS | FLOATS:
            return CType(name)
        arguments = node.child_by_field_name("arguments")
        if name in library.EXTREMES or name in library.IDENTITIES:
            return self.type_of(arguments.named_children[0]) if arguments and arguments.named_children else None
        if name in library.MATHS:
            return DOUBLE
        variable = self.find(name)
        if variable is not None and variable.type.depth:
            return variable.type.element()
        signature = self.survey.functions.get(name)
        return replace(signature.returns, reference=False) if signature is not None else None

    # --- calls -----------------------------------------------------------------------------------------------------

    def _call(self, node: Node) -> ir.Expr:
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        args = (
            [child for child in arguments.named_children if child.type not in ("comment", "ERROR")] if arguments else []
        )
        line = self.line(node)
        if function is None:
            return unknown(line, [self.expr(arg) for arg in args])
        if function.type == "field_expression":
            return self._method(node, function, args, line)
        name = name_of(function)
        if function.type not in (
            "identifier",
            "qualified_identifier",
            "template_function",
            "primitive_type",
            "type_identifier",
        ):
            if function.type in ("sized_type_specifier", "template_type"):
                return self._converted_call(self.survey.types.read(function), args, line)
            return ir.Call(line, self.expr(function), [ir.Argument(self.expr(arg)) for arg in args])
        if name in CASTS and args:
            return self._converted_call(self.type_of(node), args, line)
        variable = self.find(name)
        if variable is not None and not variable.shared:
            if variable.type.depth:
                return self.value(self.at(self.of_variable(variable, line), [self.expr(arg) for arg in args]), line)
            return ir.Call(line, ir.Name(line, variable.id), [ir.Argument(self.expr(arg)) for arg in args])
        if self.owner is not None and name in self.owner.methods:
            receiver = ir.Attribute(line, ir.Name(line, "self"), name)
            extra = [ir.Argument(ir.Name(line, "self@"), "self@")] if self.owner.arrayed else []
            return self.known_call(receiver, self.survey.functions.get(name), args, line, extra)
        if name in self.survey.structs:
            struct = self.survey.structs[name]
            return self.known_call(ir.Name(line, name), self.constructor(struct), args, line, [])
        if name in self.survey.functions:
            scope = text(function.child_by_field_name("scope")) if function.type == "qualified_identifier" else ""
            callee: ir.Expr = ir.Name(line, name)
            if scope in self.survey.structs:
                callee = ir.Attribute(line, ir.Name(line, scope), name)
            return self.known_call(callee, self.survey.functions[name], args, line, [])
        if name in INTEGERS | FLOATS or name in self.survey.types.aliases:
            return self._converted_call(self.survey.types.aliases.get(name) or CType(name), args, line)
        return self._library(name, args, line)

    def _converted_call(self, kind: CType | None, args: list[Node], line: int) -> ir.Expr:
        if not args:
            return ir.Const(line, 0)
        source = self.type_of(args[0])
        value = self.expr(args[0])
        return value if source is not None and source.depth else self.number(value, kind)

    def constructor(self, struct: Struct) -> Signature | None:
        """The constructor that counts: the one with the most parameters."""
        found = []
        for node in struct.constructors:
            declared = self.survey.types.declared(node.child_by_field_name("declarator"), CType(""))
            if declared.parameters is not None:
                found.append(Signature(list(self.survey.parameters(declared.parameters)), CType(struct.name)))
        return max(found, key=lambda signature: len(signature.parameters), default=None)

    def known_call(
        self, callee: ir.Expr, signature: Signature | None, args: list[Node], line: int, extra: list[ir.Argument]
    ) -> ir.Expr:
        """A call of a function of the source; numbers that it may change travel in a list of one and come back."""
        lowered: list[ir.Argument] = []
        keywords: list[ir.Argument] = list(extra)
        back: list[tuple[Node, ir.Expr]] = []
        for position, arg in enumerate(args):
            parameter = signature.parameters[position] if signature and position < len(signature.parameters) else None
            lowered.append(ir.Argument(self._argument(arg, parameter, keywords, back)))
        result: ir.Expr = ir.Call(line, callee, lowered + keywords)
        if back:
            result = self.keep(line, result)
            for node, box in back:
                self.store(node, ir.Subscript(line, box, ir.Const(line, 0)))
        return result

    def _argument(
        self, arg: Node, parameter: Parameter | None, keywords: list[ir.Argument], back: list[tuple[Node, ir.Expr]]
    ) -> ir.Expr:
        line = self.line(arg)
        kind = parameter.type if parameter is not None else None
        if parameter is not None and parameter.shifted:
            place = self.place(arg)
            at = place.offset
            if self.survey.struct(place.type) is not None and place.type is not None and not place.type.depth:
                at = place.outer[-1] if place.outer else None
            if at is not None and not is_zero(at):
                keywords.append(ir.Argument(at, f"{parameter.name}@"))
            return self.value(replace(place, offset=None), line)
        if (
            kind is not None
            and kind.reference
            and (kind.number or kind.depth == 1)
            and self.survey.struct(kind) is None
        ):
            target = self.type_of(arg)
            if target is not None and target.inline:
                return self.expr(arg)
            variable = self.find(text(arg)) if arg.type == "identifier" else None
            if variable is not None and variable.boxed:
                return ir.Name(line, variable.id)
            return self._boxed(arg, line, back)
        if (inner := self._address(arg)) is not None:
            return self._boxed(inner, line, back)
        return self.expr(arg)

    def _boxed(self, target: Node, line: int, back: list[tuple[Node, ir.Expr]]) -> ir.Expr:
        box = self.keep(line, ir.Sequence(line, "list", [self.expr(target)]))
        if target.type in ("identifier", "field_expression", "subscript_expression", "pointer_expression"):
            back.append((target, box))
        return box

    def _address(self, arg: Node) -> Node | None:
        """The variable of ``&variable``, if it holds a number or a pointer."""
        while arg.type in ("cast_expression", "parenthesized_expression") and (inner := self.inner(arg)) is not None:
            arg = inner
        if arg.type != "pointer_expression" or not text(arg).startswith("&"):
            return None
        target = arg.child_by_field_name("argument")
        if target is None or target.type not in ("identifier", "field_expression", "pointer_expression"):
            return None
        kind = self.type_of(target)
        if kind is None and self.find(text(target)) is None and target.type == "identifier":
            return None
        if kind is not None and (kind.inline or (self.survey.struct(kind) is not None and kind.depth == 0)):
            return None
        return target

    # --- the library -----------------------------------------------------------------------------------------------

    def _library(self, name: str, args: list[Node], line: int) -> ir.Expr:
        if name in library.MATHS:
            maths = ir.Attribute(line, ir.Name(line, "math"), library.MATHS[name])
            return ir.Call(line, maths, [ir.Argument(self.expr(arg)) for arg in args])
        if name in library.EXTREMES:
            return call(line, library.EXTREMES[name], *(self.expr(arg) for arg in args))
        if name in library.IDENTITIES and args:
            return self.expr(args[0])
        if name in library.COPIES and len(args) > 1:
            self._copied(args[0], args[1], line)
            return ir.Const(line, None)
        if name == "copy" and len(args) == 3:
            self._copied(args[2], args[0], line)
            return ir.Const(line, None)
        if name == "swap" and len(args) == 2:
            kept = self.keep(line, self.expr(args[0]))
            self.store(args[0], self.expr(args[1]))
            self.store(args[1], kept)
            return ir.Const(line, None)
        if name in library.PRINTS:
            return self._print(args[library.PRINTS[name] :], line)
        if name in library.IGNORED:
            return ir.Const(line, None)
        if name in library.EXITS:
            return call(line, "exit")
        if name in ("malloc", "calloc", "realloc"):
            return zeros(line)
        values: list[ir.Expr] = []
        back: list[tuple[Node, ir.Expr]] = []
        for arg in args:
            target = self._address(arg)
            values.append(self.expr(target if target is not None else arg))
            if target is not None:
                back.append((target, values[-1]))
        result: ir.Expr = call(line, f"{name}" if name else "unknown", *values)
        if back:
            result = self.keep(line, result)
            for target, _ in back:
                self.store(target, self.number(result, self.type_of(target)))
        return result

    def _copied(self, target: Node, source: Node, line: int) -> None:
        kind, from_kind = self.type_of(target), self.type_of(source)
        if (variable := self._address(target)) is not None:
            self.store(variable, self.number(self.expr(source), self.type_of(variable)))
            return
        struct = self.survey.struct(kind)
        if struct is not None and self.survey.struct(from_kind) is struct:
            self.copy_struct(struct, self._element(self.place(target)), self._element(self.place(source)), line)
            return
        place = self.place(target)
        whole = ir.Slice(line, place.offset, None, None)
        outer = list(place.outer) if not (place.member and kind is not None and not kind.inline) else []
        index = ir.Sequence(line, "tuple", [*outer, whole]) if outer else whole
        address = self._address(source)
        value = self.expr(address if address is not None else source)
        self.emit(ir.Assign(line, [ir.Subscript(line, place.base, index)], value))

    def _element(self, place: Place) -> Place:
        return self.at(place, [ir.Const(place.base.line, 0)]) if place.type is not None and place.type.depth else place

    def copy_struct(self, struct: Struct, target: Place, source: Place, line: int) -> None:
        """``*target = *source``, field by field."""
        for name in struct.fields:
            to = self.of_field(target.base, target.outer, struct, name, line)
            by = self.of_field(source.base, source.outer, struct, name, line)
            self.emit(ir.Assign(line, [self.value(to, line)], self.value(by, line)))

    def _print(self, args: list[Node], line: int) -> ir.Expr:
        values = [self.expr(arg) for arg in args]
        template = values[0] if values else ir.Const(line, "")
        if not isinstance(template, ir.Const) or not isinstance(template.value, str):
            return call(line, "print", *values)
        rest = iter(values[1:])
        parts: list[str | ir.Expr] = [
            part if part is not None else next(rest, ir.Const(line, ""))
            for part in literals.format_parts(template.value.rstrip("\n"))
        ]
        return call(line, "print", ir.Format(line, parts))

    # --- methods ---------------------------------------------------------------------------------------------------

    def _method(self, node: Node, function: Node, args: list[Node], line: int) -> ir.Expr:
        receiver, name = function.child_by_field_name("argument"), name_of(function.child_by_field_name("field"))
        if receiver is None:
            return unknown(line, [self.expr(arg) for arg in args])
        kind = self.type_of(receiver)
        struct = self.survey.struct(kind)
        if struct is not None and name in struct.methods:
            place = self.place(receiver)
            outer = place.outer
            if place.type is not None and place.type.depth:
                outer = (*outer, place.offset or ir.Const(line, 0))
            extra = []
            if struct.arrayed and outer and not all(is_zero(part) for part in outer):
                at = outer[0] if len(outer) == 1 else ir.Sequence(line, "tuple", list(outer))
                extra.append(ir.Argument(at, "self@"))
            callee = ir.Attribute(line, place.base, name)
            return self.known_call(callee, self.survey.functions.get(name), args, line, extra)
        if (found := self.method_place(node, line)) is not None:
            return self.value(found, line)
        base = self.expr(receiver)
        if name in library.LENGTHS:
            return call(line, "len", base)
        if name in ("count", "contains"):
            return ir.Subscript(line, base, self.expr(args[0])) if args else base
        if name in library.STORES:
            return self._stored(name, base, args, line)
        if name in library.SILENT:
            return ir.Const(line, None)
        return unknown(line, [base, *(self.expr(arg) for arg in args)])

    def _stored(self, name: str, base: ir.Expr, args: list[Node], line: int) -> ir.Expr:
        values = [self.expr(arg) for arg in args]
        if values:
            keyed = name in ("insert", "emplace", "store") and len(values) > 1
            index = values[0] if keyed else self.unknown_number(line, [])
            self.emit(ir.Assign(line, [ir.Subscript(line, base, index)], values[-1]))
        return ir.Const(line, None)

    def method_place(self, node: Node, line: int) -> Place | None:
        """The place that a method of a container gives: ``x.data()`` is ``x``, ``x.find(k)`` is ``x[k]``."""
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if function is None or function.type != "field_expression":
            return None
        receiver, name = function.child_by_field_name("argument"), name_of(function.child_by_field_name("field"))
        kind = self.type_of(receiver)
        struct = self.survey.struct(kind)
        if receiver is None or (struct is not None and name in struct.methods):
            return None
        args = arguments.named_children if arguments is not None else []
        if name in library.SAME:
            return self.place(receiver)
        if name in library.READS and args:
            return self.at(self.place(receiver), [self.expr(args[0])])
        if name in library.ENDS:
            return self.at(self.place(receiver), [self.unknown_number(line, [])])
        return None

    def store(self, target: Node, value: ir.Expr) -> None:
        """``target = value`` for a value that is lowered already."""
        raise NotImplementedError
