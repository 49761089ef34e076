"""libcst tree to lowered program, in one pass that also counts lines.

libcst keeps layout in the tree instead of positions, and its position provider costs more than the parse. So the
pass visits every node in source order and counts the newlines it passes; each lowered node gets the line on which
it starts. Whatever has no effect on data flow (annotations, patterns, ``assert`` messages) is visited for its
newlines and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst

from pgaudit.program import ir
from pgaudit.program.expressions import BINARY, Expressions
from pgaudit.program.recursion import deep_recursion


def lower(module: cst.Module, name: str = "__main__") -> ir.Module:
    """Lower a whole source text. Lines are 1-based, as CPython counts them."""
    with deep_recursion():
        return ir.Module(name, _Lowering().module(module))


class _Lowering(Expressions):
    """The visitor of statements."""

    def __init__(self) -> None:
        super().__init__()
        self._statements: dict[type, Callable[[Any], list[ir.Stmt]]] = {
            cst.SimpleStatementLine: self._simple_line,
            cst.If: self._if,
            cst.For: self._for,
            cst.While: self._while,
            cst.With: self._with,
            cst.Try: self._try,
            cst.TryStar: self._try,
            cst.FunctionDef: self._function,
            cst.ClassDef: self._class,
            cst.Match: self._match,
        }
        self._small: dict[type, Callable[[Any, int], ir.Stmt | None]] = {
            cst.Expr: lambda node, line: ir.Evaluate(line, self.expr(node.value)),
            cst.Assign: self._assign,
            cst.AnnAssign: self._annotated,
            cst.AugAssign: self._augmented,
            cst.Return: self._return,
            cst.Raise: self._raise,
            cst.Assert: self._assert,
            cst.Del: self._delete,
            cst.Import: self._import,
            cst.ImportFrom: self._import_from,
            cst.Global: lambda node, line: ir.Scope(line, "global", [item.name.value for item in node.names]),
            cst.Nonlocal: lambda node, line: ir.Scope(line, "nonlocal", [item.name.value for item in node.names]),
            cst.Break: lambda node, line: ir.Jump(line, "break"),
            cst.Continue: lambda node, line: ir.Jump(line, "continue"),
            cst.Pass: lambda node, line: None,
        }

    # --- statements ------------------------------------------------------------------------------------------------

    def module(self, node: cst.Module) -> list[ir.Stmt]:
        self._lines(node.header)
        return self._block(node.body)

    def _block(self, nodes: Iterable[Any]) -> list[ir.Stmt]:
        return [statement for node in nodes for statement in self._statements[type(node)](node)]

    def _suite(self, node: Any) -> list[ir.Stmt]:
        if isinstance(node, cst.IndentedBlock):
            self.line += 1
            body = self._block(node.body)
            self._lines(node.footer)
            return body
        self._space(node.leading_whitespace)
        return self._small_statements(node.body)

    def _simple_line(self, node: cst.SimpleStatementLine) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        return self._small_statements(node.body)

    def _small_statements(self, nodes: Iterable[Any]) -> list[ir.Stmt]:
        statements = []
        for node in nodes:
            if (lowered := self._small[type(node)](node, self.line)) is not None:
                statements.append(lowered)
            self._around(node.semicolon)
        self.line += 1
        return statements

    def _store(self, node: Any) -> ir.Expr:
        """Lower an assignment target and note the names that it binds."""
        target: ir.Expr = self.expr(node)
        self._note(target)
        return target

    def _note(self, target: ir.Expr) -> None:
        if isinstance(target, ir.Name):
            self.assigned.add(target.id)
        elif isinstance(target, ir.Sequence):
            for item in target.items:
                self._note(item.value if isinstance(item, ir.Starred) else item)

    def _assign(self, node: cst.Assign, line: int) -> ir.Stmt:
        targets = []
        for target in node.targets:
            targets.append(self._store(target.target))
            self._space(target.whitespace_before_equal, target.whitespace_after_equal)
        return ir.Assign(line, targets, self.expr(node.value))

    def _annotated(self, node: cst.AnnAssign, line: int) -> ir.Stmt:
        target = self._store(node.target)
        self._annotation(node.annotation)
        self._around(node.equal)
        return ir.Assign(line, [target], self.expr(node.value) if node.value else None)

    def _augmented(self, node: cst.AugAssign, line: int) -> ir.Stmt:
        target = self._store(node.target)
        self._around(node.operator)
        return ir.AugAssign(line, BINARY[type(node.operator)], target, self.expr(node.value))

    def _return(self, node: cst.Return, line: int) -> ir.Stmt:
        self._space(node.whitespace_after_return)
        return ir.Return(line, self.expr(node.value) if node.value else None)

    def _raise(self, node: cst.Raise, line: int) -> ir.Stmt:
        self._space(node.whitespace_after_raise)
        if node.exc:
            self.expr(node.exc)
        if node.cause:
            self._space(node.cause.whitespace_before_from, node.cause.whitespace_after_from)
            self.expr(node.cause.item)
        return ir.Jump(line, "raise")

    def _assert(self, node: cst.Assert, line: int) -> ir.Stmt:
        self._space(node.whitespace_after_assert)
        test = self.expr(node.test)
        self._around(node.comma)
        if node.msg:
            self.expr(node.msg)
        return ir.Evaluate(line, test)

    def _delete(self, node: cst.Del, line: int) -> ir.Stmt:
        self._space(node.whitespace_after_del)
        target = self.expr(node.target)
        return ir.Delete(line, target.items if isinstance(target, ir.Sequence) else [target])

    def _import(self, node: cst.Import, line: int) -> ir.Stmt:
        statements = []
        for alias in node.names:
            module = _dotted(alias.name)
            bound = self._alias(alias)
            statements.append(ir.Import(line, module, bound, {}))
            self.assigned.add(bound or module.partition(".")[0])
        return statements[0] if len(statements) == 1 else ir.If(line, ir.Const(line, True), statements, [])  # type: ignore[arg-type]

    def _import_from(self, node: cst.ImportFrom, line: int) -> ir.Stmt:
        self._space(node.whitespace_after_from, node.whitespace_before_import, node.whitespace_after_import)
        module = "." * len(node.relative) + (_dotted(node.module) if node.module else "")
        if node.lpar:
            self._space(node.lpar.whitespace_after)
        names = {"*": "*"}
        if not isinstance(node.names, cst.ImportStar):
            names = {}
            for alias in node.names:
                bound = self._alias(alias)
                names[bound or _dotted(alias.name)] = _dotted(alias.name)
        if node.rpar:
            self._space(node.rpar.whitespace_before)
        self.assigned.update(names)
        return ir.Import(line, module, None, names)

    def _alias(self, alias: cst.ImportAlias) -> str | None:
        name = None
        if alias.asname:
            self._space(alias.asname.whitespace_before_as, alias.asname.whitespace_after_as)
            name = alias.asname.name.value  # type: ignore[union-attr]  # an import binds a plain name
        self._around(alias.comma)
        return name

    def _if(self, node: cst.If) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        line = self.line
        self._space(node.whitespace_before_test)
        test = self.expr(node.test)
        self._space(node.whitespace_after_test)
        return [ir.If(line, test, self._suite(node.body), self._orelse(node.orelse))]

    def _orelse(self, node: Any) -> list[ir.Stmt]:
        if node is None:
            return []
        if isinstance(node, cst.If):
            return self._if(node)
        self._lines(node.leading_lines)
        return self._suite(node.body)

    def _for(self, node: cst.For) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        line = self.line
        self._space(node.whitespace_after_for)
        target = self._store(node.target)
        self._space(node.whitespace_before_in, node.whitespace_after_in)
        iterable = self.expr(node.iter)
        self._space(node.whitespace_before_colon)
        body, carried = self._loop_body(node.body)
        return [ir.For(line, target, iterable, body, self._orelse(node.orelse), carried)]

    def _while(self, node: cst.While) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        line = self.line
        self._space(node.whitespace_after_while)
        test = self.expr(node.test)
        self._space(node.whitespace_before_colon)
        body, carried = self._loop_body(node.body)
        return [ir.While(line, test, body, self._orelse(node.orelse), carried)]

    def _loop_body(self, node: Any) -> tuple[list[ir.Stmt], frozenset[str]]:
        outer, self.assigned = self.assigned, set()
        body = self._suite(node)
        carried = frozenset(self.assigned)
        self.assigned |= outer
        return body, carried

    def _with(self, node: cst.With) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        line = self.line
        self._space(node.whitespace_after_with)
        if isinstance(node.lpar, cst.LeftParen):
            self._space(node.lpar.whitespace_after)
        items = []
        for item in node.items:
            context = self.expr(item.item)
            target = None
            if item.asname:
                self._space(item.asname.whitespace_before_as, item.asname.whitespace_after_as)
                target = self._store(item.asname.name)
            items.append((context, target))
            self._around(item.comma)
        if isinstance(node.rpar, cst.RightParen):
            self._space(node.rpar.whitespace_before)
        self._space(node.whitespace_before_colon)
        return [ir.With(line, items, self._suite(node.body))]

    def _try(self, node: Any) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        line = self.line
        body = self._suite(node.body)
        handlers = [self._handler(handler) for handler in node.handlers]
        return [ir.Try(line, body, handlers, self._orelse(node.orelse), self._orelse(node.finalbody))]

    def _handler(self, node: Any) -> ir.Handler:
        self._lines(node.leading_lines)
        self._space(node.whitespace_after_except)
        name = None
        if node.type:
            self.expr(node.type)
        if node.name:
            self._space(node.name.whitespace_before_as, node.name.whitespace_after_as)
            name = node.name.name.value
        self._space(node.whitespace_before_colon)
        return ir.Handler(name, self._suite(node.body))

    def _decorators(self, node: Any) -> list[ir.Expr]:
        self._lines(node.leading_lines)
        decorators = []
        for decorator in node.decorators:
            self._lines(decorator.leading_lines)
            decorators.append(self.expr(decorator.decorator))
            self.line += 1
        self._lines(node.lines_after_decorators)
        return decorators

    def _function(self, node: cst.FunctionDef) -> list[ir.Stmt]:
        decorators = self._decorators(node)
        line = self.line
        self.assigned.add(node.name.value)
        self._space(node.whitespace_before_params)
        params = self._parameters(node.params)
        self._annotation(node.returns)
        self._space(node.whitespace_before_colon)
        outer = self.assigned, self.yields
        self.assigned, self.yields = set(), False
        body = self._suite(node.body)
        is_generator = self.yields
        self.assigned, self.yields = outer
        returns = node.returns.annotation if node.returns else None
        annotation = returns.value if isinstance(returns, cst.Name) else ""
        return [ir.Function(line, node.name.value, params, body, decorators, is_generator, annotation)]

    def _class(self, node: cst.ClassDef) -> list[ir.Stmt]:
        decorators = self._decorators(node)
        line = self.line
        self.assigned.add(node.name.value)
        if isinstance(node.lpar, cst.LeftParen):
            self._space(node.lpar.whitespace_after)
        bases = [arg.value for arg in self._arguments(node.bases)]
        self._arguments(node.keywords)
        if isinstance(node.rpar, cst.RightParen):
            self._space(node.rpar.whitespace_before)
        outer, self.assigned = self.assigned, set()
        body = self._suite(node.body)
        self.assigned = outer
        return [ir.Class(line, node.name.value, bases, body, decorators)]

    def _match(self, node: cst.Match) -> list[ir.Stmt]:
        self._lines(node.leading_lines)
        line = self.line
        subject = self.expr(node.subject)
        self.line += 1
        cases = []
        for case in node.cases:
            self._lines(case.leading_lines)
            names = _captures(case.pattern)
            self.assigned.update(names)
            self.line += cst.Module([]).code_for_node(case.pattern).count("\n")
            self._space(case.whitespace_after_case, case.whitespace_before_if, case.whitespace_after_if)
            if case.guard:
                self.expr(case.guard)
            cases.append((names, self._suite(case.body)))
        self._lines(node.footer)
        return [ir.Match(line, subject, cases)]


def _dotted(node: Any) -> str:
    return node.value if isinstance(node, cst.Name) else f"{_dotted(node.value)}.{node.attr.value}"


def _captures(pattern: cst.CSTNode) -> list[str]:
    """Names that a match pattern binds."""
    if isinstance(pattern, cst.MatchAs | cst.MatchStar) and pattern.name is not None:
        return [pattern.name.value]
    return [name for child in pattern.children for name in _captures(child)]
