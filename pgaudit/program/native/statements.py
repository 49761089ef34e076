"""Statements of C: declarations, assignments, branches and jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.native.calls import Calls
from pgaudit.program.native.scope import Place, Variable, call, is_zero, name_of, plus
from pgaudit.program.native.survey import Struct, Survey, is_inside
from pgaudit.program.native.types import INT, CType, text

if TYPE_CHECKING:
    from tree_sitter import Node

IGNORED = frozenset({
    "comment", "ERROR", "preproc_include", "preproc_call", "using_declaration", "type_definition", "alias_declaration",
    "static_assert_declaration", "struct_specifier", "class_specifier", "union_specifier", "enum_specifier", ";",
    "goto_statement", "preproc_def", "preproc_function_def", "access_specifier", "attribute_specifier",
    "namespace_alias_definition", "friend_declaration", "template_instantiation", "gnu_asm_expression", "function_definition",
})  # fmt: skip


class Statements(Calls):
    """One method for each kind of statement."""

    def __init__(self, survey: Survey) -> None:
        super().__init__(survey)
        self.moving: set[str] = set()
        self._steps: list[Node | None] = []
        self._in_switch = False
        self._statements: dict[str, Callable[[Node], None]] = {
            "expression_statement": self._expression,
            "compound_statement": self.body,
            "declaration": self._declaration,
            "if_statement": self._if,
            "switch_statement": self._switch,
            "return_statement": self._return,
            "break_statement": self._break,
            "continue_statement": self._continue,
            "throw_statement": lambda node: self.emit(ir.Jump(self.line(node), "raise")),
            "try_statement": self._try,
            "labeled_statement": lambda node: self._each(node.named_children[1:]),
            "else_clause": lambda node: self._each(node.named_children),
            "preproc_if": self._preprocessed,
            "preproc_ifdef": self._preprocessed,
            "linkage_specification": lambda node: self._each(node.named_children[-1:]),
            "attributed_statement": lambda node: self._each(node.named_children[-1:]),
            "declaration_list": self.body,
        }

    def statement(self, node: Node) -> None:
        """Lower one statement into the current block."""
        handler = self._statements.get(node.type)
        if handler is not None:
            handler(node)
        elif node.type not in IGNORED:
            self.effect(self.expr(node))

    def _each(self, nodes: list[Node]) -> None:
        for node in nodes:
            self.statement(node)

    def body(self, node: Node) -> None:
        """The statements of a block, with names of its own."""
        self.blocks.append({})
        self._each(node.named_children)
        self.blocks.pop()

    def _block(self, node: Node | None) -> list[ir.Stmt]:
        with self.block() as statements:
            if node is not None:
                self.statement(node)
        return statements

    def _preprocessed(self, node: Node) -> None:
        """The first branch of a conditional, or the other if it is switched off."""
        alternative = node.child_by_field_name("alternative")
        condition = node.child_by_field_name("condition") or node.child_by_field_name("name")
        if text(condition) == "0":
            self._each([] if alternative is None else alternative.named_children)
            return
        self._each([child for child in node.named_children if child not in (alternative, condition)])

    # --- declarations ----------------------------------------------------------------------------------------------

    def _declaration(self, node: Node) -> None:
        base = self.survey.types.read(node.child_by_field_name("type"))
        words = {text(child) for child in node.children if child.type in ("storage_class_specifier", "type_qualifier")}
        for declarator in node.children_by_field_name("declarator"):
            value = declarator.child_by_field_name("value") if declarator.type == "init_declarator" else None
            declared = self.survey.types.declared(declarator, base)
            if declared.parameters is not None and declared.type.name not in self.survey.structs and value is None:
                continue
            kind = declared.type
            if base.name == "auto" and value is not None:
                found = self.type_of(value)
                kind = replace(found, reference=kind.reference) if found is not None else CType("", 0, kind.reference)
            if declared.name and "static" in words and not words & {"const", "constexpr"} and self.function_name:
                self._declare_static(node, declared.name, kind, value)
            elif declared.name:
                self._declare(node, declared.name, kind, value, constant=bool(words & {"const", "constexpr"}))

    def _declare(self, node: Node, name: str, kind: CType, value: Node | None, *, constant: bool) -> None:
        line = self.line(node)
        if value is not None and kind.reference and self._refers(name, kind, value, line):
            return
        if value is not None and self._is_iterator(value):
            self._refers(name, self.type_of(value) or CType(""), value, line)
            return
        pointer = kind.depth == 1 and not kind.inline
        variable = self.declare(name, kind, moving=pointer and (name in self.moving or self._is_pair(value)))
        if variable.moving:
            self._bind_pointer(variable, value, line)
            return
        struct = self.survey.struct(kind)
        if struct is not None and (kind.depth == 0 or kind.inline):
            self._declare_object(variable, struct, value, line)
        elif value is None:
            self.bind(line, variable.id, self.storage(line, kind))
        elif kind.inline:
            self._declare_array(variable, value, line, constant=constant)
        else:
            if value.type == "initializer_list":
                value = value.named_children[0] if value.named_children else value
            lowered = self.converted(value, kind)
            if variable.shared and kind.number and not constant and self.survey.is_state(None, name):
                lowered = self.unknown_number(line, [])
            self.bind(line, variable.id, lowered)

    def _declare_static(self, node: Node, name: str, kind: CType, value: Node | None) -> None:
        """A variable that outlives the call: a global under a name of its own."""
        raise NotImplementedError

    def _is_pair(self, value: Node | None) -> bool:
        if value is None or value.type != "call_expression":
            return False
        function = value.child_by_field_name("function")
        name = name_of(
            function.child_by_field_name("field")
            if function is not None and function.type == "field_expression"
            else function
        )
        signature = self.survey.functions.get(name)
        return signature is not None and signature.pair

    def _is_iterator(self, value: Node) -> bool:
        function = value.child_by_field_name("function")
        if (
            function is None
            or function.type != "field_expression"
            or text(function.child_by_field_name("field")) != "find"
        ):
            return False
        return self.survey.struct(self.type_of(function.child_by_field_name("argument"))) is None

    def _refers(self, name: str, kind: CType, value: Node, line: int) -> bool:
        """A reference to an element of an array: the array under a name of its own, and where in it."""
        place = self.place(value)
        if not place.outer or isinstance(place.base, ir.Const):
            return False
        variable = self.declare(name, kind)
        indices: list[str | int] = []
        self.bind(line, variable.id, place.base)
        for number, part in enumerate(place.outer):
            indices.append(f"{variable.id}@{number or ''}")
            self.bind(line, str(indices[-1]), part)
        self.set_variable(name, replace(variable, outer=tuple(indices)))
        return True

    def _bind_pointer(self, variable: Variable, value: Node | None, line: int) -> None:
        offset: ir.Expr = ir.Const(line, 0)
        if value is None:
            base: ir.Expr = ir.Const(line, None)
        elif any(
            call_.type in ("call_expression", "new_expression") for call_ in [value, *value.named_children]
        ) and not (is_inside(value) or self._is_pair(value)):
            base = self.converted(value, variable.type)
        else:
            place = self.place(value)
            offset = place.offset or offset
            base = self.value(replace(place, offset=None), line)
        if isinstance(base, ir.Name) and base.id == variable.id:
            self.bind(line, f"{variable.id}@", offset)
            return
        offset = self.keep(line, offset) if not isinstance(offset, ir.Const) else offset
        self.bind(line, variable.id, base)
        self.bind(line, f"{variable.id}@", offset)

    def _declare_object(self, variable: Variable, struct: Struct, value: Node | None, line: int) -> None:
        target = Place(ir.Name(line, variable.id), self.of_variable(variable, line).outer, None, variable.type)
        if variable.type.depth or value is None or (value.type == "initializer_list" and not struct.constructors):
            self.bind(line, variable.id, call(line, struct.name))
            if value is not None and value.type == "initializer_list" and not variable.type.depth:
                self.fill(struct, target, value, line)
        elif value.type in ("argument_list", "initializer_list"):
            made = self.known_call(ir.Name(line, struct.name), self.constructor(struct), value.named_children, line, [])
            self.bind(line, variable.id, made)
        elif value.type == "call_expression":
            self.bind(line, variable.id, self.expr(value))
        else:
            self.bind(line, variable.id, call(line, struct.name))
            self.copy_struct(struct, target, self._element(self.place(value)), line)

    def fill(self, struct: Struct, target: Place, values: Node, line: int) -> None:
        """``target = {…}``, field by field; ``.name = value`` names its field."""
        items = [child for child in values.named_children if child.type != "comment"]
        for name, item in zip(struct.fields, items, strict=False):
            value, field = item, name
            if item.type == "initializer_pair":
                field = text(item.child_by_field_name("designator")).lstrip(".")
                value = item.child_by_field_name("value") or item
            if field not in struct.fields or value.type == "initializer_list":
                continue
            place = self.of_field(target.base, target.outer, struct, field, line)
            self.emit(ir.Assign(line, [self.value(place, line)], self.converted(value, place.type)))

    def _declare_array(self, variable: Variable, value: Node, line: int, *, constant: bool) -> None:
        if value.type in ("string_literal", "concatenated_string"):
            self.bind(line, variable.id, self.expr(value))
            return
        if value.type == "argument_list":
            self.bind(line, variable.id, self.storage(line, variable.type))
            for child in value.named_children[1:2]:
                self._store_element(variable, self.unknown_number(line, []), self.expr(child), line)
            return
        items = (
            [child for child in value.named_children if child.type != "comment"]
            if value.type == "initializer_list"
            else []
        )
        if constant and items:
            self.bind(line, variable.id, self.expr(value))
            return
        if value.type != "initializer_list":
            self.bind(line, variable.id, self.expr(value))
            return
        self.bind(line, variable.id, self.storage(line, variable.type))
        for position, item in enumerate(items[:64]):
            if item.type not in ("number_literal", "initializer_list", "initializer_pair"):
                self._store_element(variable, ir.Const(line, position), self.expr(item), line)

    def _store_element(self, variable: Variable, index: ir.Expr, value: ir.Expr, line: int) -> None:
        self.emit(ir.Assign(line, [ir.Subscript(line, ir.Name(line, variable.id), index)], value))

    # --- assignments -----------------------------------------------------------------------------------------------

    def _expression(self, node: Node) -> None:
        for child in node.named_children:
            self._discarded(child)

    def _discarded(self, node: Node) -> None:
        """An expression whose value is not used."""
        if node.type == "assignment_expression":
            self._assign(node)
        elif node.type == "update_expression":
            self._step(node)
        elif node.type == "comma_expression":
            for child in node.named_children:
                self._discarded(child)
        elif node.type == "parenthesized_expression" and node.named_children:
            self._discarded(node.named_children[0])
        elif node.type not in IGNORED:
            self.effect(self.expr(node))

    def _assigned(self, node: Node) -> ir.Expr:
        """An assignment whose value is used."""
        left = node.child_by_field_name("left")
        self._assign(node)
        return self.expr(left)

    def _updated(self, node: Node) -> ir.Expr:
        """``x++`` or ``++x`` whose value is used: the change comes before the statement, the old value is kept."""
        line, target = self.line(node), node.child_by_field_name("argument")
        if target is None:
            return ir.Const(line, None)
        if self.pointer_variable(target) is not None:
            return self._placed(node)
        operator = text(node.child_by_field_name("operator"))[0]
        if text(node).startswith(("+", "-")):
            self._step(node)
            return self.expr(target)
        old = self.keep(line, self.expr(target))
        self.store(target, plus(old, ir.Const(line, 1), operator))
        return old

    def _step(self, node: Node) -> None:
        target = node.child_by_field_name("argument")
        if target is not None:
            self._augment(
                target, text(node.child_by_field_name("operator"))[0], ir.Const(self.line(node), 1), self.line(node)
            )

    def _augment(self, target: Node, operator: str, value: ir.Expr, line: int) -> None:
        pointer = self.pointer_variable(target)
        place = self._weakened(self.place(target))
        if pointer is not None:
            at = ir.Name(line, f"{pointer.id}@")
            self.bind(line, at.id, plus(at, value, operator))
            return
        self._mark(place)
        if operator == "/" and place.type is not None and place.type.integer:
            operator = "//"
        self.emit(ir.AugAssign(line, operator, self.value(place, line), value))

    def _assign(self, node: Node) -> None:
        line = self.line(node)
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = text(node.child_by_field_name("operator"))
        if left is None or right is None:
            return
        if operator != "=":
            self._augment(left, operator.removesuffix("="), self.expr(right), line)
            return
        pointer = self.pointer_variable(left)
        if pointer is not None:
            self._bind_pointer(pointer, right, line)
            return
        kind = self.type_of(left)
        struct = self.survey.struct(kind)
        if struct is not None and kind is not None and kind.depth == 0:
            if right.type == "initializer_list":
                self.fill(struct, self.place(left), right, line)
                return
            core = self.type_of(right)
            if right.type != "call_expression" and self.survey.struct(core) is struct:
                self.copy_struct(struct, self.place(left), self.place(right), line)
                return
        self.store(left, self.converted(right, kind))

    def store(self, target: Node, value: ir.Expr) -> None:
        """``target = value`` for a value that is lowered already."""
        line = self.line(target)
        if (pointer := self.pointer_variable(target)) is not None:
            self.bind(line, pointer.id, value)
            self.bind(line, f"{pointer.id}@", ir.Const(line, 0))
            return
        place = self._weakened(self.place(target))
        self._mark(place)
        if not place.outer and place.type is not None and place.type.number and self._is_state(place):
            value = self.unknown_number(line, [value])
        if isinstance(place.base, ir.Const):
            self.effect(value)
            return
        self.emit(ir.Assign(line, [self.value(place, line)], value))

    def _weakened(self, place: Place) -> Place:
        """The target ``*out`` after a branch that may have returned: some element, so that older values are kept."""
        if self.returned and len(place.outer) == 1 and is_zero(place.outer[0]) and isinstance(place.base, ir.Name):
            name, line = place.base.id, place.base.line
            variables = [one for block in self.blocks for one in block.values() if one.id == name]
            if any(one.boxed or (one.type.depth == 1 and not one.type.inline) for one in variables):
                return replace(place, outer=(self.unknown_number(line, []),))
        return place

    def _is_state(self, place: Place) -> bool:
        if isinstance(place.base, ir.Attribute):
            name = place.base.attr
            return any(self.survey.is_state(one, name) for one in self.survey.structs.values() if name in one.fields)
        if not isinstance(place.base, ir.Name) or place.base.id not in self.globals_set:
            return False
        return self.survey.is_state(None, place.base.id.rpartition(".")[2])

    def _mark(self, place: Place) -> None:
        """Note that a name is bound by the block, and that a global is changed."""
        if place.outer or not isinstance(place.base, ir.Name):
            return
        name = place.base.id
        if any(one.id == name and one.shared for block in self.blocks for one in block.values()):
            self.globals_set.add(name)
        self.assigned.add(place.base.id)

    # --- branches --------------------------------------------------------------------------------------------------

    def _test(self, node: Node | None) -> ir.Expr:
        """The condition of a branch; a declaration in it is a statement before."""
        if node is None:
            return ir.Const(1, True)
        if node.type == "condition_clause":
            for child in node.named_children:
                if child.type in ("init_statement", "declaration"):
                    self._each(child.named_children if child.type == "init_statement" else [child])
            value = node.child_by_field_name("value")
            if value is not None and value.type == "declaration":
                declarator = value.child_by_field_name("declarator")
                name = self.survey.types.declared(declarator, INT).name if declarator is not None else ""
                variable = self.find(name)
                return ir.Name(self.line(node), variable.id if variable is not None else name)
            return self.expr(value)
        return self.expr(node)

    def _if(self, node: Node) -> None:
        self.blocks.append({})
        test = self._test(node.child_by_field_name("condition"))
        body = self._block(node.child_by_field_name("consequence"))
        orelse = self._block(node.child_by_field_name("alternative"))
        self.blocks.pop()
        self.emit(ir.If(self.line(node), test, body, orelse))

    def _switch(self, node: Node) -> None:
        """A chain of comparisons; each case runs on to the next ``break``. A ``break`` inside a branch is not followed."""
        line = self.line(node)
        subject = self.keep(line, self._test(node.child_by_field_name("condition")))
        body = node.child_by_field_name("body")
        cases = [child for child in body.named_children if child.type == "case_statement"] if body is not None else []
        outer, self._in_switch = self._in_switch, True
        chain: list[ir.Stmt] = []
        pending: list[tuple[Node, ir.Expr, list[ir.Stmt]]] = []
        for position, case in enumerate(cases):
            value = case.child_by_field_name("value")
            with self.block() as statements:
                self._run_on(cases[position:])
            if value is None:
                chain = statements
            else:
                test: ir.Expr = ir.Compare(self.line(case), subject, ["=="], [self.expr(value)])
                pending.append((case, test, statements))
        for case, test, statements in reversed(pending):
            chain = [ir.If(self.line(case), test, statements, chain)]
        for statement in chain:
            self.emit(statement)
        self._in_switch = outer

    def _run_on(self, cases: list[Node]) -> None:
        for case in cases:
            value = case.child_by_field_name("value")
            for child in case.named_children:
                if child == value:
                    continue
                if child.type == "break_statement":
                    return
                self.statement(child)
                if child.type in ("return_statement", "continue_statement") or (
                    child.type == "compound_statement"
                    and child.named_children
                    and child.named_children[-1].type in ("break_statement", "return_statement", "continue_statement")
                ):
                    return

    def _try(self, node: Node) -> None:
        body = self._block(node.child_by_field_name("body"))
        handlers = [
            ir.Handler(None, self._block(child.child_by_field_name("body")))
            for child in node.named_children
            if child.type == "catch_clause"
        ]
        self.emit(ir.Try(self.line(node), body, handlers, [], []))

    # --- jumps -----------------------------------------------------------------------------------------------------

    def _return(self, node: Node) -> None:
        line = self.line(node)
        value = next((child for child in node.named_children if child.type != "comment"), None)
        self.returned = True
        if value is None:
            self.emit(ir.Return(line, None))
        elif self.pair:
            place = self.place(value)
            at: ir.Expr = place.offset or ir.Const(line, 0)
            base = self.value(replace(place, offset=None), line)
            if is_zero(base):
                base = ir.Const(line, None)
            if place.type is not None and place.type.depth == 0 and place.outer:
                at, base = place.outer[-1], place.base
            self.emit(ir.Return(line, ir.Sequence(line, "tuple", [base, at])))
        elif value.type == "initializer_list" and (struct := self.survey.struct(self.returns)) is not None:
            name = self.fresh("@")
            self.bind(line, name, call(line, struct.name))
            self.fill(struct, Place(ir.Name(line, name), (ir.Const(line, 0),) if struct.arrayed else ()), value, line)
            self.emit(ir.Return(line, ir.Name(line, name)))
        else:
            self.emit(ir.Return(line, self.converted(value, self.returns)))

    def _break(self, node: Node) -> None:
        if not self._in_switch:
            self.emit(ir.Jump(self.line(node), "break"))

    def _continue(self, node: Node) -> None:
        if self._steps:
            step = self._steps[-1]
            if step is not None:
                self._discarded(step)
        self.emit(ir.Jump(self.line(node), "continue"))
