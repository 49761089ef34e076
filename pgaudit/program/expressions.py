"""Layout and expressions of the lowering pass: what passes whitespace, and one method for each kind of expression."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Callable, Iterable
from typing import Any

import libcst as cst

from pgaudit.program import ir

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


class Expressions:
    """The visitor of expressions: ``line`` is the line of the next character that has not been passed yet."""

    def __init__(self) -> None:
        self.line = 1
        self.assigned: set[str] = set()
        """Names bound so far in the body that is being lowered."""
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

    def _annotation(self, node: Any) -> None:
        if node is not None:
            self._space(getattr(node, "whitespace_before_indicator", None), node.whitespace_after_indicator)
            self.expr(node.annotation)

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
