"""libcst tree to lowered program, in one pass that also counts lines.

libcst keeps layout in the tree instead of positions, and its position provider costs more than the parse. So the
pass visits every node in source order and counts the newlines it passes; each lowered node gets the line on which
it starts. Whatever has no effect on data flow (annotations, patterns, ``assert`` messages) is visited for its
newlines and dropped.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst

from pgaudit.program import ir
from pgaudit.program.recursion import deep_recursion

BINARY = {
    cst.Add: "+", cst.Subtract: "-", cst.Multiply: "*", cst.Divide: "/", cst.FloorDivide: "//", cst.Modulo: "%",
    cst.Power: "**", cst.LeftShift: "<<", cst.RightShift: ">>", cst.BitAnd: "&", cst.BitOr: "|", cst.BitXor: "^",
    cst.MatrixMultiply: "@",
    cst.AddAssign: "+", cst.SubtractAssign: "-", cst.MultiplyAssign: "*", cst.DivideAssign: "/",
    cst.FloorDivideAssign: "//", cst.ModuloAssign: "%", cst.PowerAssign: "**", cst.LeftShiftAssign: "<<",
    cst.RightShiftAssign: ">>", cst.BitAndAssign: "&", cst.BitOrAssign: "|", cst.BitXorAssign: "^",
    cst.MatrixMultiplyAssign: "@",
}  # fmt: skip
UNARY = {cst.Minus: "-", cst.Plus: "+", cst.Not: "not", cst.BitInvert: "~"}
COMPARE = {
    cst.Equal: "==", cst.NotEqual: "!=", cst.LessThan: "<", cst.LessThanEqual: "<=", cst.GreaterThan: ">",
    cst.GreaterThanEqual: ">=", cst.Is: "is", cst.IsNot: "is not", cst.In: "in", cst.NotIn: "not in",
}  # fmt: skip
CONSTANT_NAMES = {"None": None, "True": True, "False": False}


def lower(module: cst.Module, name: str = "__main__") -> ir.Module:
    """Lower a whole source text. Lines are 1-based, as CPython counts them."""
    with deep_recursion():
        return ir.Module(name, _Lowering().module(module))


class _Lowering:
    """The visitor: ``line`` is the line of the next character that has not been passed yet."""

    def __init__(self) -> None:
        self.line = 1
        self.assigned: set[str] = set()
        self.yields = False
        self._expressions: dict[type, Callable[[Any, int], Any]] = {
            cst.Name: self._name,
            cst.Integer: lambda node, line: ir.Const(line, int(node.value.replace("_", ""), 0)),
            cst.Float: lambda node, line: ir.Const(line, float(node.value.replace("_", ""))),
            cst.Imaginary: lambda node, line: ir.Const(line, complex(node.value.replace("_", ""))),
            cst.Ellipsis: lambda node, line: ir.Const(line, ...),
            cst.SimpleString: self._string,
            cst.ConcatenatedString: self._concatenated,
            cst.FormattedString: self._formatted,
            cst.Attribute: self._attribute,
            cst.Subscript: self._subscript,
            cst.Call: self._call,
            cst.BinaryOperation: self._binary,
            cst.UnaryOperation: self._unary,
            cst.BooleanOperation: self._boolean,
            cst.Comparison: self._comparison,
            cst.IfExp: self._conditional,
            cst.Lambda: self._lambda,
            cst.Tuple: lambda node, line: ir.Sequence(line, "tuple", self._elements(node.elements)),
            cst.List: lambda node, line: ir.Sequence(
                line, "list", self._bracketed(node.lbracket, node.elements, node.rbracket)
            ),
            cst.Set: lambda node, line: ir.Sequence(
                line, "set", self._bracketed(node.lbrace, node.elements, node.rbrace)
            ),
            cst.Dict: self._dict,
            cst.ListComp: self._list_comprehension,
            cst.SetComp: self._set_comprehension,
            cst.DictComp: self._dict_comprehension,
            cst.GeneratorExp: lambda node, line: self._comprehension("generator", node, line),
            cst.NamedExpr: self._walrus,
            cst.Yield: self._yield,
            cst.Await: self._await,
        }
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

    # --- layout ----------------------------------------------------------------------------------------------------

    def _space(self, *spaces: Any) -> None:
        """Pass whitespace: only parenthesised whitespace and backslash continuations hold newlines."""
        for space in spaces:
            if type(space) is cst.SimpleWhitespace:
                if len(space.value) > 1:
                    self.line += space.value.count("\n")
            elif type(space) is cst.ParenthesizedWhitespace:
                self.line += 1 + len(space.empty_lines)
                self._space(space.last_line)

    def _around(self, token: Any) -> None:
        """Pass an operator, comma or dot with the whitespace on both of its sides."""
        if token is not None and token is not cst.MaybeSentinel.DEFAULT:
            self._space(getattr(token, "whitespace_before", None), getattr(token, "whitespace_after", None))

    def _lines(self, lines: Iterable[Any]) -> None:
        self.line += sum(1 for _ in lines)

    # --- expressions -----------------------------------------------------------------------------------------------

    def expr(self, node: Any) -> Any:
        """Lower one expression; the result carries the line of its first token."""
        for paren in getattr(node, "lpar", ()):
            self._space(paren.whitespace_after)
        handler = self._expressions.get(type(node))
        lowered = handler(node, self.line) if handler else ir.Const(self.line, None)
        for paren in getattr(node, "rpar", ()):
            self._space(paren.whitespace_before)
        return lowered

    def _name(self, node: cst.Name, line: int) -> ir.Expr:
        if node.value in CONSTANT_NAMES:
            return ir.Const(line, CONSTANT_NAMES[node.value])
        return ir.Name(line, node.value)

    def _string(self, node: cst.SimpleString, line: int) -> ir.Expr:
        raw = node.value
        self.line += raw.count("\n")
        if raw[0] in "'\"" and "\\" not in raw:
            quote = 3 if raw[:3] in ("'''", '"""') else 1
            return ir.Const(line, raw[quote:-quote])
        return ir.Const(line, literal_eval(raw))

    def _concatenated(self, node: cst.ConcatenatedString, line: int) -> ir.Expr:
        left = self.expr(node.left)
        self._space(node.whitespace_between)
        right = self.expr(node.right)
        if isinstance(left, ir.Const) and isinstance(right, ir.Const):
            return ir.Const(line, left.value + right.value)  # type: ignore[operator]  # the grammar allows no mixture
        parts = [
            part
            for side in (left, right)
            for part in (side.parts if isinstance(side, ir.Format) else [str(side.value)])
        ]
        return ir.Format(line, parts)

    def _formatted(self, node: cst.FormattedString, line: int) -> ir.Expr:
        return ir.Format(line, self._format_parts(node.parts))

    def _format_parts(self, nodes: Iterable[Any]) -> list[str | ir.Expr]:
        parts: list[str | ir.Expr] = []
        for part in nodes:
            if isinstance(part, cst.FormattedStringText):
                self.line += part.value.count("\n")
                parts.append(part.value.replace("{{", "{").replace("}}", "}").replace("\\n", "\n").replace("\\t", "\t"))
                continue
            self._space(part.whitespace_before_expression)
            parts.append(self.expr(part.expression))
            self._around(part.equal)
            self._space(part.whitespace_after_expression)
            if part.format_spec:
                self._format_parts(part.format_spec)
        return parts

    def _attribute(self, node: cst.Attribute, line: int) -> ir.Expr:
        value = self.expr(node.value)
        self._around(node.dot)
        return ir.Attribute(line, value, node.attr.value)

    def _subscript(self, node: cst.Subscript, line: int) -> ir.Expr:
        value = self.expr(node.value)
        self._space(node.whitespace_after_value, node.lbracket.whitespace_after)
        start = self.line
        items = [self._element_of_subscript(element) for element in node.slice]
        self._space(node.rbracket.whitespace_before)
        comma = node.slice[-1].comma is not cst.MaybeSentinel.DEFAULT
        return ir.Subscript(
            line, value, items[0] if len(items) == 1 and not comma else ir.Sequence(start, "tuple", items)
        )

    def _element_of_subscript(self, element: cst.SubscriptElement) -> ir.Expr:
        line = self.line
        item: Any = element.slice
        if isinstance(item, cst.Index):
            lowered = self.expr(item.value)
        else:
            lower = self.expr(item.lower) if item.lower else None
            self._around(item.first_colon)
            upper = self.expr(item.upper) if item.upper else None
            self._around(item.second_colon)
            lowered = ir.Slice(line, lower, upper, self.expr(item.step) if item.step else None)
        self._around(element.comma)
        return lowered  # type: ignore[no-any-return]

    def _call(self, node: cst.Call, line: int) -> ir.Expr:
        func = self.expr(node.func)
        self._space(node.whitespace_after_func, node.whitespace_before_args)
        return ir.Call(line, func, self._arguments(node.args))

    def _arguments(self, nodes: Iterable[cst.Arg]) -> list[ir.Argument]:
        args = []
        for arg in nodes:
            self._space(arg.whitespace_after_star)
            self._around(arg.equal)
            args.append(ir.Argument(self.expr(arg.value), arg.keyword.value if arg.keyword else None, len(arg.star)))
            self._around(arg.comma)
            self._space(arg.whitespace_after_arg)
        return args

    def _binary(self, node: cst.BinaryOperation, line: int) -> ir.Expr:
        left = self.expr(node.left)
        self._around(node.operator)
        return ir.Binary(line, BINARY[type(node.operator)], left, self.expr(node.right))

    def _unary(self, node: cst.UnaryOperation, line: int) -> ir.Expr:
        self._space(node.operator.whitespace_after)
        operand = self.expr(node.expression)
        op = UNARY[type(node.operator)]
        if op == "-" and isinstance(operand, ir.Const) and isinstance(operand.value, int | float):
            return ir.Const(line, -operand.value)
        return ir.Unary(line, op, operand)

    def _boolean(self, node: cst.BooleanOperation, line: int) -> ir.Expr:
        left = self.expr(node.left)
        self._around(node.operator)
        return ir.Boolean(line, "and" if isinstance(node.operator, cst.And) else "or", left, self.expr(node.right))

    def _comparison(self, node: cst.Comparison, line: int) -> ir.Expr:
        left = self.expr(node.left)
        ops, rights = [], []
        for target in node.comparisons:
            self._around(target.operator)
            self._space(getattr(target.operator, "whitespace_between", None))
            ops.append(COMPARE[type(target.operator)])
            rights.append(self.expr(target.comparator))
        return ir.Compare(line, left, ops, rights)

    def _conditional(self, node: cst.IfExp, line: int) -> ir.Expr:
        body = self.expr(node.body)
        self._space(node.whitespace_before_if, node.whitespace_after_if)
        test = self.expr(node.test)
        self._space(node.whitespace_before_else, node.whitespace_after_else)
        return ir.Conditional(line, test, body, self.expr(node.orelse))

    def _elements(self, nodes: Iterable[Any]) -> list[ir.Expr]:
        items: list[ir.Expr] = []
        for element in nodes:
            line = self.line
            if isinstance(element, cst.StarredElement):
                self._space(element.whitespace_before_value)
                items.append(ir.Starred(line, self.expr(element.value)))
            else:
                items.append(self.expr(element.value))
            self._around(element.comma)
        return items

    def _bracketed(self, left: Any, nodes: Iterable[Any], right: Any) -> list[ir.Expr]:
        self._space(left.whitespace_after)
        items = self._elements(nodes)
        self._space(right.whitespace_before)
        return items

    def _dict(self, node: cst.Dict, line: int) -> ir.Expr:
        self._space(node.lbrace.whitespace_after)
        items: list[tuple[ir.Expr | None, ir.Expr]] = []
        element: Any
        for element in node.elements:
            key = None
            if isinstance(element, cst.StarredDictElement):
                self._space(element.whitespace_before_value)
            else:
                key = self.expr(element.key)
                self._space(element.whitespace_before_colon, element.whitespace_after_colon)
            items.append((key, self.expr(element.value)))
            self._around(element.comma)
        self._space(node.rbrace.whitespace_before)
        return ir.Dictionary(line, items)

    def _list_comprehension(self, node: cst.ListComp, line: int) -> ir.Expr:
        self._space(node.lbracket.whitespace_after)
        lowered = self._comprehension("list", node, line)
        self._space(node.rbracket.whitespace_before)
        return lowered

    def _set_comprehension(self, node: cst.SetComp, line: int) -> ir.Expr:
        self._space(node.lbrace.whitespace_after)
        lowered = self._comprehension("set", node, line)
        self._space(node.rbrace.whitespace_before)
        return lowered

    def _comprehension(self, kind: Any, node: Any, line: int) -> ir.Expr:
        element = self.expr(node.elt)
        return ir.Comprehension(line, kind, element, None, self._generators(node.for_in))

    def _dict_comprehension(self, node: cst.DictComp, line: int) -> ir.Expr:
        self._space(node.lbrace.whitespace_after)
        key = self.expr(node.key)
        self._space(node.whitespace_before_colon, node.whitespace_after_colon)
        value = self.expr(node.value)
        generators = self._generators(node.for_in)
        self._space(node.rbrace.whitespace_before)
        return ir.Comprehension(line, "dict", value, key, generators)

    def _generators(self, clause: cst.CompFor | None) -> list[ir.Generator]:
        generators = []
        while clause is not None:
            self._space(clause.whitespace_before, clause.whitespace_after_for)
            target = self.expr(clause.target)
            self._space(clause.whitespace_before_in, clause.whitespace_after_in)
            iterable = self.expr(clause.iter)
            conditions = []
            for condition in clause.ifs:
                self._space(condition.whitespace_before, condition.whitespace_before_test)
                conditions.append(self.expr(condition.test))
            generators.append(ir.Generator(target, iterable, conditions))
            clause = clause.inner_for_in
        return generators

    def _walrus(self, node: cst.NamedExpr, line: int) -> ir.Expr:
        target = self.expr(node.target)
        self._space(node.whitespace_before_walrus, node.whitespace_after_walrus)
        self.assigned.add(target.id)
        return ir.Walrus(line, target, self.expr(node.value))

    def _yield(self, node: cst.Yield, line: int) -> ir.Expr:
        self.yields = True
        self._space(node.whitespace_after_yield)
        value: Any = node.value
        if isinstance(value, cst.From):
            self._space(value.whitespace_before_from, value.whitespace_after_from)
            value = value.item
        return ir.Yield(line, self.expr(value) if value else None)

    def _await(self, node: cst.Await, line: int) -> ir.Expr:
        self._space(node.whitespace_after_await)
        return self.expr(node.expression)  # type: ignore[no-any-return]

    def _lambda(self, node: cst.Lambda, line: int) -> ir.Expr:
        self._space(node.whitespace_after_lambda)
        params = self._parameters(node.params)
        self._around(node.colon)
        body_line = self.line
        return ir.Function(line, "<lambda>", params, [ir.Return(body_line, self.expr(node.body))])

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

    def _annotation(self, node: Any) -> None:
        if node is not None:
            self._space(getattr(node, "whitespace_before_indicator", None), node.whitespace_after_indicator)
            self.expr(node.annotation)

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
        return [ir.Function(line, node.name.value, params, body, decorators, is_generator)]

    def _parameters(self, node: cst.Parameters) -> list[ir.Parameter]:
        params = [self._parameter(param, "plain") for param in node.posonly_params]
        if isinstance(node.posonly_ind, cst.ParamSlash):
            self._around(node.posonly_ind.comma)
        params += [self._parameter(param, "plain") for param in node.params]
        if isinstance(node.star_arg, cst.Param):
            params.append(self._parameter(node.star_arg, "*"))
        elif isinstance(node.star_arg, cst.ParamStar):
            self._around(node.star_arg.comma)
        params += [self._parameter(param, "keyword-only") for param in node.kwonly_params]
        if node.star_kwarg:
            params.append(self._parameter(node.star_kwarg, "**"))
        return params

    def _parameter(self, node: cst.Param, kind: Any) -> ir.Parameter:
        self._space(node.whitespace_after_star)
        self._annotation(node.annotation)
        self._around(node.equal)
        default = self.expr(node.default) if node.default else None
        self._around(node.comma)
        self._space(node.whitespace_after_param)
        return ir.Parameter(node.name.value, default, kind)

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
