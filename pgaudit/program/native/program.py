"""A whole C source: macros and enums as constants, functions, classes, globals, and bindings to Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.native.loops import Loops
from pgaudit.program.native.scope import RESERVED, Variable, call, name_of, zeros
from pgaudit.program.native.survey import Parameter, Struct, Survey, descendants, moving
from pgaudit.program.native.types import CType, text

if TYPE_CHECKING:
    from tree_sitter import Node

_NESTED = frozenset({
    "linkage_specification", "declaration_list", "namespace_definition", "template_declaration", "preproc_if", "preproc_ifdef",
    "preproc_else", "preproc_elif", "preproc_elifdef", "ERROR", "export_declaration",
})  # fmt: skip
_MODULES = ("NB_MODULE", "PYBIND11_MODULE", "TORCH_LIBRARY", "TORCH_LIBRARY_FRAGMENT")


class Program(Loops):
    """The declarations of a source text, in an order that Python can run: constants, functions, classes, globals."""

    def __init__(self, survey: Survey, parse: Callable[[str], Node]) -> None:
        super().__init__(survey)
        self._parse = parse
        self._defined: set[str] = set()
        self._globals: list[Node] = []
        self._functions: list[Node] = []
        self._lasting: list[ir.Stmt] = []
        """Static variables of functions."""

    def module(self, root: Node) -> list[ir.Stmt]:
        """The statements of the module."""
        self.emit(ir.Import(1, "math", "math", {}))
        self.emit(ir.Import(1, "numpy", "numpy", {}))
        self._sort(root)
        self._constants()
        for node in self._globals:
            self._declare_globals(node)
        for node in self._functions:
            self._function(node)
        objects = [node for node in self._globals if self._is_object(node)]
        for node in self._globals:
            if node not in objects:
                self.statement(node)
        for struct in self.survey.structs.values():
            self._statics(struct)
            self.emit(self._class(struct))
        for node in objects:
            self.statement(node)
        self._bindings()
        return [*self.out, *self._lasting]

    def _sort(self, node: Node) -> None:
        for child in node.named_children:
            if child.type in _NESTED:
                self._sort(child)
            elif child.type == "declaration":
                self._globals.append(child)
            elif child.type == "function_definition":
                self._functions.append(child)

    def _is_object(self, node: Node) -> bool:
        return self.survey.struct(self.survey.types.read(node.child_by_field_name("type"))) is not None

    # --- constants -------------------------------------------------------------------------------------------------

    def _constants(self) -> None:
        for node in self.survey.nodes["preproc_def"]:
            name, value = text(node.child_by_field_name("name")), text(node.child_by_field_name("value"))
            expression = self._macro(value, node) if value else None
            if expression is not None and name not in RESERVED:
                self.bind(self.line(node), name, expression)
        for node in self.survey.nodes["enum_specifier"]:
            self._enumerators(node)
        for node in self.survey.nodes["preproc_function_def"]:
            self._function_macro(node)

    def _macro(self, source: str, node: Node) -> ir.Expr | None:
        """The expression that the text of a macro is, if it is one."""
        inside = self._parsed(f"auto x = ({_without_comments(source)});", node)
        declarator = (
            inside.child_by_field_name("declarator") if inside is not None and inside.type == "declaration" else None
        )
        if inside is None or inside.has_error or declarator is None:
            return None
        value = declarator.child_by_field_name("value")
        with self._shifted(node), self.block() as effects:
            expression = self.expr(value)
        return None if effects else expression

    def _parsed(self, source: str, node: Node) -> Node | None:
        children = self._parse(source).named_children
        return children[0] if children else None

    def _shifted(self, node: Node) -> _Shift:
        return _Shift(self, node.start_point[0])

    def _enumerators(self, node: Node) -> None:
        body = node.child_by_field_name("body")
        previous: ir.Expr | None = None
        for child in body.named_children if body is not None else []:
            if child.type != "enumerator":
                continue
            line, name, value = (
                self.line(child),
                text(child.child_by_field_name("name")),
                child.child_by_field_name("value"),
            )
            if value is not None:
                previous = self.expr(value)
            elif previous is None:
                previous = ir.Const(line, 0)
            elif isinstance(previous, ir.Const) and isinstance(previous.value, int):
                previous = ir.Const(line, previous.value + 1)
            else:
                previous = ir.Binary(line, "+", previous, ir.Const(line, 1))
            self.bind(line, name, previous)

    def _function_macro(self, node: Node) -> None:
        name, value = text(node.child_by_field_name("name")), text(node.child_by_field_name("value"))
        parameters = node.child_by_field_name("parameters")
        params = [ir.Parameter(text(child)) for child in parameters.named_children] if parameters is not None else []
        source = _without_comments(value.replace("\\\n", " "))
        expression = self._macro(source, node) if source.strip() else None
        if expression is not None:
            body: list[ir.Stmt] = [ir.Return(self.line(node), expression)]
        else:
            inside = self._parsed(f"void f() {{ {source}; }}", node)
            if inside is None or inside.has_error or inside.type != "function_definition":
                return
            with self._shifted(node), self.block() as body:
                self.statement(inside.child_by_field_name("body") or inside)
        self._defined.add(name)
        self.emit(ir.Function(self.line(node), name, params, body))

    # --- globals ---------------------------------------------------------------------------------------------------

    def _declare_globals(self, node: Node) -> None:
        """Make the names of globals known to the functions; their values come after the classes that they need."""
        base = self.survey.types.read(node.child_by_field_name("type"))
        for declarator in node.children_by_field_name("declarator"):
            declared = self.survey.types.declared(declarator, base)
            if declared.name and declared.parameters is None:
                self._share(declared.name, declared.type, declared.name)

    def _declare_static(self, node: Node, name: str, kind: CType, value: Node | None) -> None:
        id_ = f"{self.function_name}.{name}"
        line = self.line(node)
        inner = self.survey.struct(kind)
        variable = Variable(
            id_, kind, (0,) if inner is not None and inner.arrayed and not kind.depth else (), shared=True
        )
        self.set_variable(name, variable)
        lasting = self.storage(line, kind)
        if kind.number:
            lasting = (
                self.unknown_number(line, []) if self.survey.is_state(None, name) or value is None else self.expr(value)
            )
        self._lasting.append(ir.Assign(line, [ir.Name(line, id_)], lasting))

    def _share(self, name: str, kind: CType, id_: str) -> Variable:
        struct = self.survey.struct(kind)
        outer: tuple[str | int, ...] = (0,) if struct is not None and struct.arrayed and kind.depth == 0 else ()
        id_ = f"{id_}_" if id_ in RESERVED or id_ in self.survey.structs else id_
        variable = Variable(id_, replace(kind, reference=False), outer, shared=True)
        self.blocks[0][name] = variable
        return variable

    def declare(self, name: str, kind: CType, *, moving: bool = False, boxed: bool = False) -> Variable:
        """A new variable; at the top level it is the global that was made known before."""
        if len(self.blocks) == 1:
            return self.blocks[0].get(name) or self._share(name, kind, name)
        return super().declare(name, kind, moving=moving, boxed=boxed)

    def _statics(self, struct: Struct) -> None:
        for name, value in struct.statics.items():
            self.owner = struct
            self.bind(self.line(value), f"{struct.name}.{name}", self.expr(value))
            self.owner = None

    # --- functions -------------------------------------------------------------------------------------------------

    def _function(self, node: Node) -> None:
        declared = self.survey.types.declared(
            node.child_by_field_name("declarator"), self.survey.types.read(node.child_by_field_name("type"))
        )
        if declared.scope in self.survey.structs or declared.name in _MODULES:
            return
        if declared.name and declared.name not in self._defined:
            self._defined.add(declared.name)
            signature = self.survey.functions.get(declared.name)
            parameters = signature.parameters if signature is not None else []
            if declared.parameters is not None:
                own = list(self.survey.parameters(declared.parameters))
                parameters = parameters if len(parameters) == len(own) else own
            self.emit(self.function(node, declared.name, parameters, declared.type))

    def function(self, node: Node, name: str, parameters: list[Parameter], returns: CType) -> ir.Function:
        """A function or method; what it does to globals and to its arguments stays visible outside."""
        line, body = self.line(node), node.child_by_field_name("body")
        signature = self.survey.functions.get(name)
        outer = self.assigned, self.globals_set, self.moving, self.returns, self.pair, self.function_name, self.returned
        self.assigned, self.globals_set, self.returned = set(), set(), False
        self.moving = moving(body) if body is not None else set()
        self.returns, self.pair, self.function_name = returns, signature is not None and signature.pair, name
        params: list[ir.Parameter] = []
        shifts: list[ir.Parameter] = []
        with self.block() as statements:
            pointers = _pointers(body)
            for parameter in parameters:
                self._parameter(parameter, params, shifts, line, pointers)
            self._initialise(node)
            if body is not None:
                self.statement(body)
        scope: list[ir.Stmt] = [ir.Scope(line, "global", sorted(self.globals_set))] if self.globals_set else []
        self.assigned, self.globals_set, self.moving, self.returns, self.pair, self.function_name, self.returned = outer
        return ir.Function(line, name, params + shifts, scope + statements)

    def _parameter(
        self,
        parameter: Parameter,
        params: list[ir.Parameter],
        shifts: list[ir.Parameter],
        line: int,
        pointers: set[str],
    ) -> None:
        kind = parameter.type
        struct = self.survey.struct(kind)
        boxed = kind.reference and struct is None and (kind.number or (kind.depth == 1 and not kind.inline))
        is_pointer = kind.depth == 1
        variable = self.declare(
            parameter.name,
            kind,
            moving=is_pointer and (parameter.shifted or parameter.name in self.moving),
            boxed=boxed,
        )
        default = self.expr(parameter.default) if parameter.default is not None else None
        params.append(ir.Parameter(variable.id, default))
        at = f"{variable.id}@"
        if parameter.shifted:
            shifts.append(ir.Parameter(f"{parameter.name}@", ir.Const(line, 0)))
            if variable.id != parameter.name:
                self.bind(line, at, ir.Name(line, f"{parameter.name}@"))
            if not is_pointer:
                self.set_variable(parameter.name, replace(variable, outer=(at,)))
        elif variable.moving:
            self.bind(line, at, ir.Const(line, 0))
        if kind.number and not boxed and parameter.name not in pointers and kind.name != "bool":
            self.bind(line, variable.id, self.number(ir.Name(line, variable.id), kind))

    def _initialise(self, node: Node) -> None:
        """``: field(value), …`` of a constructor."""
        for child in node.named_children:
            if child.type != "field_initializer_list" or self.owner is None:
                continue
            for item in child.named_children:
                names, values = item.named_children[:1], item.named_children[1:]
                arguments = values[0].named_children if values else []
                if item.type != "field_initializer" or not names or name_of(names[0]) not in self.owner.fields:
                    continue
                line, name = self.line(item), name_of(names[0])
                outer: tuple[ir.Expr, ...] = (ir.Const(line, 0),) if self.owner.arrayed else ()
                place = self.of_field(ir.Name(line, "self"), outer, self.owner, name, line)
                kind = place.type
                inner = self.survey.struct(kind)
                if not arguments or kind is None or kind.inline:
                    continue
                if inner is not None and kind.depth == 0:
                    value = self.known_call(ir.Name(line, inner.name), self.constructor(inner), arguments, line, [])
                else:
                    value = self.converted(arguments[0], kind)
                if kind.number and self.survey.is_state(self.owner, name):
                    value = self.unknown_number(line, [value])
                self.emit(ir.Assign(line, [self.value(place, line)], value))

    def _lambda(self, node: Node) -> ir.Expr:
        line, body = self.line(node), node.child_by_field_name("body")
        declarator = node.child_by_field_name("declarator")
        listed = declarator.child_by_field_name("parameters") if declarator is not None else None
        parameters = list(self.survey.parameters(listed)) if listed is not None else []
        outer, self.assigned = self.assigned, set()
        visible = {variable.id for block in self.blocks[1:] for variable in block.values()}
        kept = self.returns, self.pair, self.returned
        self.returns, self.pair = CType(""), False
        params: list[ir.Parameter] = []
        shifts: list[ir.Parameter] = []
        with self.block() as statements:
            for parameter in parameters:
                self._parameter(parameter, params, shifts, line, set())
            own = {param.name for param in params}
            if body is not None:
                self.statement(body)
        shared = sorted((self.assigned & visible) - own)
        self.returns, self.pair, self.returned = kept
        self.assigned = outer | set(shared)
        scope: list[ir.Stmt] = [ir.Scope(line, "nonlocal", shared)] if shared else []
        name = self.fresh("lambda@")
        self.emit(ir.Function(line, name, params + shifts, scope + statements))
        return ir.Name(line, name)

    # --- classes ---------------------------------------------------------------------------------------------------

    def _class(self, struct: Struct) -> ir.Stmt:
        line = self.line(struct.node)
        self.owner = struct
        body: list[ir.Stmt] = [self._constructor(struct, line)]
        for name, node in struct.methods.items():
            signature = self.survey.functions.get(name)
            declared = self.survey.types.declared(
                node.child_by_field_name("declarator"), self.survey.types.read(node.child_by_field_name("type"))
            )
            parameters = list(self.survey.parameters(declared.parameters)) if declared.parameters is not None else []
            if signature is not None and len(signature.parameters) == len(parameters):
                parameters = signature.parameters
            body.append(self._method_of(struct, self.function(node, name, parameters, declared.type)))
        self.owner = None
        return ir.Class(line, struct.name, self._bases(struct), body)

    def _bases(self, struct: Struct) -> list[ir.Expr]:
        clause = next((child for child in struct.node.named_children if child.type == "base_class_clause"), None)
        names = [name_of(child) for child in clause.named_children] if clause is not None else []
        return [ir.Name(self.line(struct.node), name) for name in names if name in self.survey.structs]

    def _method_of(self, struct: Struct, function: ir.Function) -> ir.Function:
        function.params.insert(0, ir.Parameter("self"))
        if struct.arrayed:
            function.params.append(ir.Parameter("self@", ir.Const(function.line, 0)))
        return function

    def _constructor(self, struct: Struct, line: int) -> ir.Function:
        node = max(struct.constructors, key=lambda one: one.end_byte - one.start_byte, default=None)
        signature = self.constructor(struct)
        with self.block() as fields:
            for name, kind in struct.fields.items():
                place = self.of_field(ir.Name(line, "self"), (), struct, name, line)
                value = self._initial(struct, name, kind, line)
                target = ir.Attribute(line, ir.Name(line, "self"), name)
                self.emit(ir.Assign(line, [target], value))
                default = struct.defaults.get(name)
                if default is not None and place.type is not None and place.type.number and struct.arrayed:
                    self.emit(ir.Assign(line, [ir.Subscript(line, target, ir.Const(line, 0))], self.expr(default)))
        if node is None or signature is None:
            return self._method_of(struct, ir.Function(line, "__init__", [], fields))
        longest = max(
            struct.constructors,
            key=lambda one: len(text(one.child_by_field_name("declarator")).split(",")),
        )
        made = self.function(longest, "__init__", signature.parameters, CType(""))
        made.body[:0] = fields
        return self._method_of(struct, made)

    def _initial(self, struct: Struct, name: str, kind: CType, line: int) -> ir.Expr:
        inner = self.survey.struct(kind)
        if inner is not None and (kind.depth == 0 or kind.inline):
            return call(line, inner.name)
        if (struct.arrayed and kind.number) or kind.inline:
            return zeros(line)
        default = struct.defaults.get(name)
        if kind.number and self.survey.is_state(struct, name):
            return self.unknown_number(line, [])
        return self.converted(default, kind) if default is not None else self.storage(line, kind)

    # --- bindings --------------------------------------------------------------------------------------------------

    def _bindings(self) -> None:
        """``m.def("name", &function)``: Python's name finds the function."""
        for node in self.survey.nodes["call_expression"]:
            function = node.child_by_field_name("function")
            arguments = node.child_by_field_name("arguments")
            if function is None or arguments is None:
                continue
            args = arguments.named_children
            line = self.line(node)
            if function.type == "field_expression" and text(function.child_by_field_name("field")) in (
                "def",
                "def_static",
                "impl",
            ):
                if len(args) > 1 and args[0].type == "string_literal":
                    self._bind_name(_bound_class(function, self.survey), text(args[0]).strip('"'), args[1], line)
            elif (bound := _class_of(function, self.survey)) and len(args) > 1 and args[1].type == "string_literal":
                name = text(args[1]).strip('"')
                if name != bound:
                    self.bind(line, name, ir.Name(line, bound))

    def _bind_name(self, owner: str, name: str, target: Node, line: int) -> None:
        if target.type == "lambda_expression":
            value = self.expr(target)
        else:
            found = target.child_by_field_name("argument") if target.type == "pointer_expression" else target
            called = name_of(found)
            if not re.fullmatch(r"\w+", called) or called == name:
                return
            holder = (["", *text(found).split("::")])[-2]
            value = (
                ir.Attribute(line, ir.Name(line, holder), called)
                if holder in self.survey.structs
                else ir.Name(line, called)
            )
        if owner:
            self.emit(ir.Assign(line, [ir.Attribute(line, ir.Name(line, owner), name)], value))
        else:
            self.bind(line, name, value)


class _Shift:
    """Lines of a text that was parsed on its own are those of the place that it was taken from."""

    def __init__(self, program: Program, shift: int) -> None:
        self._program, self._shift = program, shift

    def __enter__(self) -> None:
        self._program.shift, self._shift = self._shift, self._program.shift

    def __exit__(self, *_: object) -> None:
        self._program.shift, self._shift = self._shift, self._program.shift


def _without_comments(source: str) -> str:
    return re.sub(r"//.*|/\*.*?\*/", "", source, flags=re.DOTALL) if "/" in source else source


def _pointers(body: Node | None) -> set[str]:
    """Integers that are cast to pointers: addresses, which a conversion to a number would cut off."""
    found: set[str] = set()
    for node in descendants(body) if body is not None else ():
        if node.type == "cast_expression" and "*" in text(node.child_by_field_name("type")):
            found.add(text(node.child_by_field_name("value")))
        elif node.type == "call_expression" and text(node.child_by_field_name("function")).startswith(
            "reinterpret_cast"
        ):
            found.add(text(node.child_by_field_name("arguments")).strip("()"))
    return found


def _class_of(function: Node, survey: Survey) -> str:
    """``Cls`` of ``nb::class_<Cls>``."""
    if name_of(function) != "class_":
        return ""
    match = re.search(r"class_<\s*(?:\w+::)*(\w+)", text(function))
    return match.group(1) if match and match.group(1) in survey.structs else ""


def _bound_class(function: Node, survey: Survey) -> str:
    """The class that a chain of ``.def(…)`` is about."""
    match = re.match(r"[\w:]*class_<\s*(?:\w+::)*(\w+)", text(function))
    return match.group(1) if match and match.group(1) in survey.structs else ""
