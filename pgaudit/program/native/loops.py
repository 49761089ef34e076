"""Loops of C: counted ones become ``for … in range``, whose variable has an address; the others run while they do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pgaudit.program import ir
from pgaudit.program.native.scope import Place, call, plus
from pgaudit.program.native.statements import Statements
from pgaudit.program.native.survey import Survey, descendants
from pgaudit.program.native.types import INT, CType, text

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class _Count:
    """``for (variable = first; variable < bound && more; variable += step)``."""

    variable: Node
    is_new: bool
    """The loop declares its variable."""
    first: Node
    comparison: str
    bound: Node
    step: int | Node
    more: Node | None


class Loops(Statements):
    """One method for each kind of loop."""

    def __init__(self, survey: Survey) -> None:
        super().__init__(survey)
        self._statements |= {
            "for_statement": self._for,
            "for_range_loop": self._for_range,
            "while_statement": self._while,
            "do_statement": self._do,
        }

    def _loop(
        self, node: Node | None, step: Node | None, before: list[ir.Stmt]
    ) -> tuple[list[ir.Stmt], frozenset[str]]:
        """The body of a loop, and the names that it binds."""
        outer, self.assigned = self.assigned, set()
        switch, self._in_switch = self._in_switch, False
        self._steps.append(step)
        with self.block() as body:
            body.extend(before)
            if node is not None:
                self.statement(node)
            if step is not None:
                self._discarded(step)
        self._steps.pop()
        self._in_switch = switch
        carried = frozenset(self.assigned)
        self.assigned |= outer
        return body, carried

    def _for(self, node: Node) -> None:
        self.blocks.append({})
        start, test = node.child_by_field_name("initializer"), node.child_by_field_name("condition")
        counted = self._counted(node)
        if counted is not None:
            self._counted_loop(node, counted)
        else:
            if start is not None:
                self.statement(start) if start.type == "declaration" else self._discarded(start)
            self._while_loop(node, test, node.child_by_field_name("body"), node.child_by_field_name("update"))
        self.blocks.pop()

    def _counted(self, node: Node) -> _Count | None:
        """The parts of a counted loop, or nothing if it is of another kind."""
        start, test, update = (node.child_by_field_name(part) for part in ("initializer", "condition", "update"))
        body = node.child_by_field_name("body")
        if start is None or test is None or update is None or body is None:
            return None
        is_new = start.type == "declaration"
        declarators = start.children_by_field_name("declarator") if is_new else [start]
        if len(declarators) != 1:
            return None
        variable = declarators[0].child_by_field_name("declarator" if is_new else "left")
        first = declarators[0].child_by_field_name("value" if is_new else "right")
        more = None
        if test.type == "binary_expression" and text(test.child_by_field_name("operator")) == "&&":
            more = test.child_by_field_name("right")
            test = test.child_by_field_name("left")
        if variable is None or variable.type != "identifier" or first is None or test is None:
            return None
        name, bound, step = text(variable), test.child_by_field_name("right"), _step_of(update, text(variable))
        comparison = text(test.child_by_field_name("operator"))
        if bound is None or step is None or comparison not in ("<", "<=", ">", ">=", "!="):
            return None
        if text(test.child_by_field_name("left")) != name or _assigns(body, name):
            return None
        known = None if is_new else self.type_of(variable)
        if known is not None and known.depth:
            return None
        return _Count(variable, is_new, first, comparison, bound, step, more)

    def _counted_loop(self, node: Node, count: _Count) -> None:
        line, more = self.line(node), count.more
        low, high = self.expr(count.first), self.expr(count.bound)
        if count.comparison in ("<=", ">="):
            high = plus(high, ir.Const(line, 1), "+" if count.comparison == "<=" else "-")
        args = [low, high]
        if count.step != 1:
            args.append(ir.Const(line, count.step) if isinstance(count.step, int) else self.expr(count.step))
        if count.is_new:
            target: ir.Expr = ir.Name(line, self.declare(text(count.variable), INT).id)
        else:
            place = self.place(count.variable)
            target = self.value(place, line)
            self._mark(place)
        if isinstance(target, ir.Name):
            self.assigned.add(target.id)
        with self.block() as before:
            if more is not None:
                test = ir.Unary(line, "not", self.expr(more))
                self.emit(ir.If(line, test, [ir.Jump(line, "break")], []))
        body, carried = self._loop(node.child_by_field_name("body"), None, before)
        self.emit(ir.For(line, target, call(line, "range", *args), body, [], carried))
        if not count.is_new:
            self.emit(ir.Assign(line, [target], self.unknown_number(line, [target])))

    def _for_range(self, node: Node) -> None:
        line = self.line(node)
        right, declarator = node.child_by_field_name("right"), node.child_by_field_name("declarator")
        base = self.survey.types.read(node.child_by_field_name("type"))
        declared = self.survey.types.declared(declarator, base)
        self.blocks.append({})
        place = self.place(right) if right is not None else Place(ir.Const(line, None))
        element = place.type.element() if place.type is not None else CType("")
        iterable = self.value(place, line)
        variable = self.declare(
            declared.name, element if base.name == "auto" else replace(base, depth=declared.type.depth)
        )
        name = variable.id
        if self.survey.struct(element) is not None or (declared.type.reference and element.number):
            self.bind(line, name, place.base)
            kept = [self.keep(line, part) for part in place.outer]
            names = tuple(part.id if isinstance(part, ir.Name) else 0 for part in kept)
            name = f"{variable.id}@"
            self.set_variable(declared.name, replace(variable, outer=(*names, name)))
            iterable = call(line, "range", call(line, "len", place.base))
        self.assigned.add(name)
        body, carried = self._loop(node.child_by_field_name("body"), None, [])
        self.blocks.pop()
        self.emit(ir.For(line, ir.Name(line, name), iterable, body, [], carried))

    def _while(self, node: Node) -> None:
        self.blocks.append({})
        self._while_loop(node, node.child_by_field_name("condition"), node.child_by_field_name("body"), None)
        self.blocks.pop()

    def _while_loop(self, node: Node, test: Node | None, body: Node | None, step: Node | None) -> None:
        line = self.line(node)
        outer, self.assigned = self.assigned, set()
        with self.block() as before:
            condition = self._test(test) if test is not None else ir.Const(line, True)
        bound = self.assigned
        self.assigned = outer | bound
        if before:
            before.append(ir.If(line, ir.Unary(line, "not", condition), [ir.Jump(line, "break")], []))
            condition = ir.Const(line, True)
        statements, carried = self._loop(body, step, before)
        self.emit(ir.While(line, condition, statements, [], carried | bound))

    def _do(self, node: Node) -> None:
        line = self.line(node)
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("body")
        if condition is not None and text(condition).strip("() ") in ("0", "false"):
            once, carried = self._loop(body, None, [])
            self.emit(
                ir.For(line, ir.Name(line, self.fresh("@")), call(line, "range", ir.Const(line, 1)), once, [], carried)
            )
            return
        statements, carried = self._loop(body, None, [])
        outer, self.assigned = self.assigned, set()
        with self.block() as after:
            test = self._test(condition)
        carried |= self.assigned
        self.assigned |= outer
        stop = ir.If(line, ir.Unary(line, "not", test), [ir.Jump(line, "break")], [])
        self.emit(ir.While(line, ir.Const(line, True), [*statements, *after, stop], [], carried))


def _step_of(update: Node, name: str) -> int | Node | None:
    """By how much a loop moves its variable."""
    if update.type == "update_expression" and text(update.child_by_field_name("argument")) == name:
        return 1 if "++" in text(update) else -1
    if update.type == "assignment_expression" and text(update.child_by_field_name("left")) == name:
        right, operator = update.child_by_field_name("right"), text(update.child_by_field_name("operator"))
        if right is not None and operator in ("+=", "-="):
            sign = 1 if operator == "+=" else -1
            if re.fullmatch(r"\d+", text(right)):
                return sign * int(text(right))
            return right if sign == 1 else None
    return None


def _assigns(body: Node, name: str) -> bool:
    """Does the text change the variable, or hand its address on?"""
    for node in descendants(body):
        if node.type == "update_expression" or (node.type == "pointer_expression" and text(node).startswith("&")):
            if text(node.child_by_field_name("argument")) == name:
                return True
        elif node.type == "assignment_expression" and text(node.child_by_field_name("left")) == name:
            return True
    return False
