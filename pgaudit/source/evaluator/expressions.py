"""The constant evaluator: the value of an expression, computed from constants and pure functions, or why it has none.

This is how packed scripts are opened without running them: not by recognising wrappers, but by computing what
a wrapper passes to ``exec``. What is not constant, pure and bounded is ``Unknown``.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import libcst as cst

from pgaudit.source.evaluator.codecs import Undecodable
from pgaudit.source.evaluator.functions import ATTRIBUTES, CONSTANTS, METHODS
from pgaudit.source.evaluator.operators import BINARY, COMPARE, MAX_ITEMS, UNARY, combine
from pgaudit.source.evaluator.values import Function, Known, Method, Module, Name, OpenFile, Unknown, Value

MAX_STEPS = 300_000
"""Syntax nodes that may be evaluated for one script, large values counting as several."""


class OutOfSteps(Exception):
    """The script would have pgaudit compute for too long."""


class Expressions(ABC):
    """Evaluates expressions in a scope; calls are left to the subclass."""

    def __init__(self) -> None:
        self.scope: dict[str, Value] = {}
        self.globals = self.scope
        self.environment: dict[str, str] = {}
        """Variables that the script sets for itself."""
        self._left = MAX_STEPS

    @abstractmethod
    def call(self, function: Value, arguments: list[Value], options: dict[str, Value]) -> Value:
        """The value of a call, with whatever it does."""

    def spend(self, value: Value) -> Value:
        """Pay for a value by its size. Raises ``OutOfSteps``."""
        data = value.data if isinstance(value, Known) else None
        if isinstance(data, str | bytes):
            self.charge(len(data) // 1024)
        elif isinstance(data, list | tuple | dict):
            self.charge(len(data) // 16)
        self.charge(1)
        return value

    def charge(self, steps: int) -> None:
        """Pay for work. Raises ``OutOfSteps``."""
        self._left -= steps
        if self._left < 0:
            raise OutOfSteps

    def evaluate(self, node: cst.BaseExpression) -> Value:
        """The value of an expression. Raises ``OutOfSteps``."""
        method = self._METHODS.get(type(node))
        return self.spend(method(self, node) if method else Unknown("is not a constant expression"))

    def lookup(self, name: str) -> Value:
        """The value of a name: local, global, else the builtin."""
        if name in self.scope:
            return self.scope[name]
        if name in self.globals:
            return self.globals[name]
        return Known(Name("builtins" if name == "__builtins__" else f"builtins.{name}"))

    def attribute(self, value: Value, name: str) -> Value:
        """``value.name``."""
        if isinstance(value, Unknown):
            return value
        data = value.data
        if isinstance(data, Name):
            path = f"{data.path.removeprefix('builtins.')}.{name}"
            return Known(CONSTANTS[path]) if path in CONSTANTS else Known(Name(path))
        if isinstance(data, Module) and name in data.attributes:
            return data.attributes[name]
        if isinstance(data, Module) and name in ("__dict__", "loader"):
            return value
        if isinstance(data, OpenFile) and name == "name":
            return Known(data.path)
        if name in ATTRIBUTES.get(_kind(data), ()):
            return combine(lambda receiver: getattr(receiver, name), value)
        return Known(Method(value, name), value.steps)

    def subscript(self, value: Value, key: Value) -> Value:
        """``value[key]``."""
        if isinstance(value, Known) and isinstance(key, Known) and isinstance(value.data, Name):
            return self._named_item(value.data.path, key.data)
        return combine(operator.getitem, value, key)

    def _named_item(self, path: str, key: Any) -> Value:
        if path in ("builtins.globals()", "builtins.locals()"):
            return self.lookup(str(key))
        if path == "sys.argv" and (key == 0 or isinstance(key, slice)):
            return self.lookup("__file__") if key == 0 else Known([])
        if path == "sys.modules":
            return Known(Name(str(key)))
        if path == "builtins":
            return Known(Name(f"builtins.{key}"))
        return Unknown(f"depends on {path}[{key!r}]")

    def _name(self, node: cst.Name) -> Value:
        constants = {"None": None, "True": True, "False": False}
        return Known(constants[node.value]) if node.value in constants else self.lookup(node.value)

    def _integer(self, node: cst.Integer) -> Value:
        return combine(lambda: node.evaluated_value)

    def _simple_string(self, node: cst.SimpleString) -> Value:
        return combine(lambda: node.evaluated_value)

    def _concatenated_string(self, node: cst.ConcatenatedString) -> Value:
        parts: list[Value] = []
        rest: cst.BaseExpression = node
        while isinstance(rest, cst.ConcatenatedString):
            parts.append(self.evaluate(rest.left))
            rest = rest.right
        parts.append(self.evaluate(rest))
        return combine(lambda *texts: texts[0][:0].join(texts), *parts)

    def _formatted_string(self, node: cst.FormattedString) -> Value:
        parts: list[Value] = []
        for part in node.parts:
            if isinstance(part, cst.FormattedStringText):
                raw = f"{node.prefix.lower().replace('f', '')}{node.quote}{part.value}{node.quote}"
                text = combine(lambda raw=raw: cst.SimpleString(raw).evaluated_value)
                parts.append(combine(lambda value: value.replace("{{", "{").replace("}}", "}"), text))
            elif isinstance(part, cst.FormattedStringExpression) and not (part.conversion or part.format_spec):
                parts.append(combine(_shown, self.evaluate(part.expression)))
            else:
                return Unknown("is a formatted string")
        return combine(lambda *texts: "".join(texts), *parts)

    def _attribute(self, node: cst.Attribute) -> Value:
        return self.attribute(self.evaluate(node.value), node.attr.value)

    def _subscript(self, node: cst.Subscript) -> Value:
        if len(node.slice) != 1:
            return Unknown("is not a constant expression")
        index = node.slice[0].slice
        if isinstance(index, cst.Index):
            return self.subscript(self.evaluate(node.value), self.evaluate(index.value))
        assert isinstance(index, cst.Slice)
        bounds = [self.evaluate(bound) if bound else Known(None) for bound in (index.lower, index.upper, index.step)]
        return self.subscript(self.evaluate(node.value), combine(slice, *bounds))

    def _binary_operation(self, node: cst.BinaryOperation) -> Value:
        operation = BINARY.get(type(node.operator))
        if not operation:
            return Unknown("is not a constant expression")
        return combine(operation, self.evaluate(node.left), self.evaluate(node.right))

    def _unary_operation(self, node: cst.UnaryOperation) -> Value:
        return combine(UNARY[type(node.operator)], self.evaluate(node.expression))

    def _boolean_operation(self, node: cst.BooleanOperation) -> Value:
        left = self.evaluate(node.left)
        if isinstance(left, Unknown) or bool(left.data) is isinstance(node.operator, cst.Or):
            return left
        return self.evaluate(node.right)

    def _comparison(self, node: cst.Comparison) -> Value:
        left, result = self.evaluate(node.left), Known(True)
        for part in node.comparisons:
            right = self.evaluate(part.comparator)
            outcome = combine(COMPARE[type(part.operator)], left, right)
            if isinstance(outcome, Unknown) or not outcome.data:
                return outcome
            left = right
        return result

    def _if_exp(self, node: cst.IfExp) -> Value:
        test = self.evaluate(node.test)
        if isinstance(test, Unknown):
            return test
        return self.evaluate(node.body if test.data else node.orelse)

    def _tuple(self, node: cst.Tuple | cst.List) -> Value:
        items: list[Any] = []
        steps: tuple[str, ...] = ()
        for element in node.elements:
            value = self.evaluate(element.value)
            if isinstance(element, cst.StarredElement):
                items += self.items(value)
            else:
                items.append(value.data if isinstance(value, Known) else value)
            steps = steps or (value.steps if isinstance(value, Known) else ())
        return Known(items if isinstance(node, cst.List) else tuple(items), steps)

    def _dict(self, node: cst.Dict) -> Value:
        table: dict[Any, Any] = {}
        steps: tuple[str, ...] = ()
        for element in node.elements:
            value = self.evaluate(element.value)
            key = self.evaluate(element.key) if isinstance(element, cst.DictElement) else Unknown("is unpacked")
            if isinstance(key, Unknown) or _kind(key.data) in (list, dict):
                return key if isinstance(key, Unknown) else Unknown("has a key that cannot be")
            table[key.data] = value.data if isinstance(value, Known) else value
            steps = steps or (value.steps if isinstance(value, Known) else ())
        return Known(table, steps)

    def _lambda(self, node: cst.Lambda) -> Value:
        return Known(Function(node.params, node.body, self.scope))

    def _named_expr(self, node: cst.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        if isinstance(node.target, cst.Name):
            self.scope[node.target.value] = value
        return value

    def _generator_exp(self, node: cst.GeneratorExp | cst.ListComp) -> Value:
        values = self._comprehend(node.for_in, lambda: self.evaluate(node.elt))
        return combine(lambda *items: list(items), *values)

    def _dict_comp(self, node: cst.DictComp) -> Value:
        def pair() -> Value:
            return combine(lambda key, value: (key, value), self.evaluate(node.key), self.evaluate(node.value))

        return combine(lambda *items: dict(items), *self._comprehend(node.for_in, pair))

    def _comprehend(self, loop: cst.CompFor, element: Callable[[], Value]) -> list[Value]:
        found: list[Value] = []
        source = self.evaluate(loop.iter)
        if isinstance(source, Unknown):
            return [source]
        for item in self.items(source):
            self.assign(loop.target, item if isinstance(item, Unknown) else Known(item, source.steps))
            tests = [self.evaluate(condition.test) for condition in loop.ifs]
            if all(isinstance(test, Known) and test.data for test in tests):
                found += self._comprehend(loop.inner_for_in, element) if loop.inner_for_in else [element()]
        return found

    def _call(self, node: cst.Call) -> Value:
        function = self.evaluate(node.func)
        arguments: list[Value] = []
        options: dict[str, Value] = {}
        for argument in node.args:
            value = self.evaluate(argument.value)
            if argument.star == "*":
                arguments += [item if isinstance(item, Unknown) else Known(item) for item in self.items(value)]
            elif argument.keyword:
                options[argument.keyword.value] = value
            elif not argument.star:
                arguments.append(value)
            elif isinstance(value, Known) and isinstance(value.data, dict):
                options |= {str(k): v if isinstance(v, Unknown) else Known(v) for k, v in value.data.items()}
        return self.call(function, arguments, options)

    def items(self, value: Value) -> list[Any]:
        """What iterating over a value gives; a single ``Unknown`` where that cannot be told."""
        if isinstance(value, Unknown):
            return [value]
        if isinstance(value.data, str | bytes | list | tuple | dict) and len(value.data) <= MAX_ITEMS:
            return list(value.data)
        return [Unknown("iterates over something unknown")]

    def assign(self, target: cst.BaseExpression, value: Value) -> None:
        """Bind a target: a name, a nested sequence of targets, or an item of something."""
        if isinstance(target, cst.Name):
            self.scope[target.value] = value
        elif isinstance(target, cst.Tuple | cst.List):
            parts: Iterable[Any] = self.items(value)
            steps = value.steps if isinstance(value, Known) else ()
            for element, part in zip(target.elements, parts, strict=False):
                self.assign(element.value, part if isinstance(part, Unknown) else Known(part, steps))
        elif isinstance(target, cst.Subscript) and isinstance(target.slice[0].slice, cst.Index):
            self._store(self.evaluate(target.value), self.evaluate(target.slice[0].slice.value), value)

    def _store(self, container: Value, key: Value, value: Value) -> None:
        if isinstance(container, Unknown) or isinstance(key, Unknown):
            return
        if isinstance(container.data, dict | list):
            combine(lambda items, place: items.__setitem__(place, getattr(value, "data", value)), container, key)
        elif container.data == Name("builtins.globals()"):
            self.globals[str(key.data)] = value
        elif container.data == Name("os.environ"):
            self.set_environment(key, value)

    def set_environment(self, name: Value, value: Value, keep: bool = False) -> None:
        """Note what the script sets; with ``keep`` only where it is not set yet."""
        if isinstance(name, Unknown) or isinstance(value, Unknown) or not isinstance(value.data, str):
            return
        if not (keep and name.data in self.environment):
            self.environment[str(name.data)] = value.data

    _METHODS: ClassVar[Mapping[type, Callable[[Any, Any], Value]]] = {
        cst.Name: _name,
        cst.Integer: _integer,
        cst.SimpleString: _simple_string,
        cst.ConcatenatedString: _concatenated_string,
        cst.FormattedString: _formatted_string,
        cst.Attribute: _attribute,
        cst.Subscript: _subscript,
        cst.BinaryOperation: _binary_operation,
        cst.UnaryOperation: _unary_operation,
        cst.BooleanOperation: _boolean_operation,
        cst.Comparison: _comparison,
        cst.IfExp: _if_exp,
        cst.Tuple: _tuple,
        cst.Dict: _dict,
        cst.Lambda: _lambda,
        cst.NamedExpr: _named_expr,
        cst.GeneratorExp: _generator_exp,
        cst.DictComp: _dict_comp,
        cst.Call: _call,
        cst.Float: _integer,
        cst.List: _tuple,
        cst.ListComp: _generator_exp,
    }


def _kind(data: Any) -> type:
    return next((kind for kind in METHODS if isinstance(data, kind)), type(data))


def _shown(data: Any) -> str:
    if not isinstance(data, str | int | float):
        raise Undecodable(f"shows a {type(data).__name__}")
    return str(data)
