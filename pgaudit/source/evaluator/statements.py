"""The constant evaluator for statements: assignments, imports and control flow in the order of execution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, ClassVar

import libcst as cst

from pgaudit.source.evaluator.codecs import DECODERS
from pgaudit.source.evaluator.expressions import Expressions
from pgaudit.source.evaluator.functions import FUNCTIONS
from pgaudit.source.evaluator.operators import combine
from pgaudit.source.evaluator.values import Function, Known, Name, Unknown, Value

MAX_CALLS = 8
"""Calls of the script's own functions inside each other that are followed."""

_IN_PLACE: Mapping[type[cst.BaseAugOp], Callable[[], cst.BaseBinaryOp]] = {
    cst.AddAssign: cst.Add,
    cst.MultiplyAssign: cst.Multiply,
    cst.BitOrAssign: cst.BitOr,
}
_COMPUTED = Unknown("is computed in place")


class Returned(Exception):
    """A ``return`` statement on its way to the call."""

    def __init__(self, value: Value) -> None:
        self.value = value


class Statements(Expressions):
    """Executes statements on constants. Where a condition is unknown both ways are taken, and what differs is unknown."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def execute(self, node: cst.CSTNode) -> None:
        """Execute one statement, simple or compound; what has no effect on constants is passed over."""
        method = self._STATEMENTS.get(type(node))
        if method:
            method(self, node)

    def call_function(self, function: Function, arguments: list[Value], options: dict[str, Value]) -> Value:
        """Call a function or lambda of the script."""
        if self._calls >= MAX_CALLS:
            return Unknown("calls its functions too deeply")
        outer, self.scope = self.scope, self._bind(function, arguments, options)
        self._calls += 1
        try:
            if isinstance(function.body, cst.BaseExpression):
                return self.evaluate(function.body)
            self.execute(function.body)
            return Known(None)
        except Returned as returned:
            return returned.value
        finally:
            self.scope = outer
            self._calls -= 1

    def _bind(self, function: Function, arguments: list[Value], options: dict[str, Value]) -> dict[str, Value]:
        scope = {} if function.scope is self.globals else dict(function.scope)
        parameters = function.parameters
        for parameter in chain(parameters.posonly_params, parameters.params, parameters.kwonly_params):
            default = self.evaluate(parameter.default) if parameter.default else Unknown("is not passed")
            scope[parameter.name.value] = default
        for parameter, value in zip(chain(parameters.posonly_params, parameters.params), arguments, strict=False):
            scope[parameter.name.value] = value
        scope |= options
        for starred in (parameters.star_arg, parameters.star_kwarg):
            if isinstance(starred, cst.Param):
                scope[starred.name.value] = Unknown("is a variable number of arguments")
        return scope

    def _block(self, body: Iterable[cst.CSTNode]) -> None:
        for statement in body:
            self.execute(statement)

    def _indented_block(self, node: cst.IndentedBlock) -> None:
        self._block(node.body)

    def _expr(self, node: cst.Expr) -> None:
        self.evaluate(node.value)

    def _assign(self, node: cst.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self.assign(target.target, value)

    def _ann_assign(self, node: cst.AnnAssign) -> None:
        if node.value:
            self.assign(node.target, self.evaluate(node.value))

    def _aug_assign(self, node: cst.AugAssign) -> None:
        operation = _IN_PLACE.get(type(node.operator))
        value = self.evaluate(cst.BinaryOperation(node.target, operation(), node.value)) if operation else _COMPUTED
        if isinstance(value, Unknown) and isinstance(node.operator, cst.BitOrAssign):
            self.evaluate(cst.Call(cst.Attribute(node.target, cst.Name("update")), [cst.Arg(node.value)]))
        else:
            self.assign(node.target, value)

    def _return(self, node: cst.Return) -> None:
        raise Returned(self.evaluate(node.value) if node.value else Known(None))

    def _function_def(self, node: cst.FunctionDef) -> None:
        self.scope[node.name.value] = Known(Function(node.params, node.body, self.scope))

    def _class_def(self, node: cst.ClassDef) -> None:
        self.scope[node.name.value] = Unknown(f"is the class {node.name.value}")

    def _import(self, node: cst.Import) -> None:
        for alias in node.names:
            path = alias.evaluated_name
            bound = alias.evaluated_alias or path.partition(".")[0]
            self.scope[bound] = Known(Name(path if alias.asname else bound))

    def _import_from(self, node: cst.ImportFrom) -> None:
        module = _dotted(node.module) if node.module and not node.relative else ""
        if isinstance(node.names, cst.ImportStar):
            known = {name for name in chain(FUNCTIONS, DECODERS) if name.rpartition(".")[0] == module}
            self.scope |= {name.rpartition(".")[2]: Known(Name(name)) for name in known}
            return
        for alias in node.names:
            name = alias.evaluated_name
            self.scope[alias.evaluated_alias or name] = self.attribute(Known(Name(module)), name)

    def _if(self, node: cst.If) -> None:
        test = self.evaluate(node.test)
        if isinstance(test, Known):
            if test.data:
                self.execute(node.body)
            elif node.orelse:
                self.execute(node.orelse)
            return
        self._either(node.body, node.orelse)

    def _else(self, node: cst.Else) -> None:
        self.execute(node.body)

    def _either(self, *ways: cst.CSTNode | None) -> None:
        """Take every way from the same state; a name that ends differently is unknown."""
        before, ends = self.scope, list[dict[str, Value]]()
        own = before is self.globals
        for way in ways:
            self.scope = dict(before)
            if own:
                self.globals = self.scope
            try:
                if way:
                    self.execute(way)
            except Returned:
                pass
            ends.append(self.scope)
        joint = {name: value for name, value in ends[0].items() if all(end.get(name) is value for end in ends)}
        for name in set().union(*ends) - joint.keys():
            joint[name] = Unknown("depends on a condition")
        before.clear()
        before |= joint
        self.scope = before
        if own:
            self.globals = before

    def _for(self, node: cst.For) -> None:
        source = self.evaluate(node.iter)
        for item in self.items(source):
            self.assign(node.target, item if isinstance(item, Unknown) else combine(lambda item=item: item))
            self.execute(node.body)

    def _while(self, node: cst.While) -> None:
        test = self.evaluate(node.test)
        if isinstance(test, Unknown) or test.data:
            self._either(node.body, None)

    def _with(self, node: cst.With) -> None:
        for item in node.items:
            value = self.evaluate(item.item)
            if item.asname and isinstance(item.asname.name, cst.BaseExpression):
                self.assign(item.asname.name, value)
        self.execute(node.body)

    def _try(self, node: cst.Try) -> None:
        self.execute(node.body)
        for block in (node.orelse, node.finalbody):
            if block:
                self.execute(block.body)

    _STATEMENTS: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        cst.IndentedBlock: _indented_block,
        cst.Expr: _expr,
        cst.Assign: _assign,
        cst.AnnAssign: _ann_assign,
        cst.AugAssign: _aug_assign,
        cst.Return: _return,
        cst.FunctionDef: _function_def,
        cst.ClassDef: _class_def,
        cst.Import: _import,
        cst.ImportFrom: _import_from,
        cst.If: _if,
        cst.Else: _else,
        cst.For: _for,
        cst.While: _while,
        cst.With: _with,
        cst.Try: _try,
        cst.SimpleStatementLine: _indented_block,
        cst.SimpleStatementSuite: _indented_block,
    }


def _dotted(node: cst.BaseExpression) -> str:
    if isinstance(node, cst.Attribute):
        return f"{_dotted(node.value)}.{node.attr.value}"
    return node.value if isinstance(node, cst.Name) else ""
