"""Expressions and calls, on known values where they are known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from pgaudit.engine.events import Spot
from pgaudit.evidence.byte_tables.library import CONSTANTS, FUNCTIONS, SAME, array_method, pure
from pgaudit.evidence.byte_tables.state import COMPARISONS, State, inverted
from pgaudit.evidence.byte_tables.values import (
    Class,
    External,
    Frame,
    Function,
    Instance,
    Lanes,
    Method,
    Opaque,
    Table,
    Undecided,
    as_table,
    is_number,
)
from pgaudit.evidence.byte_tables.vocabulary import METHODS, SIZE, SIZES, SPECIAL, Tokenizer, snake_case
from pgaudit.program import ir
from pgaudit.source.evaluator.functions import METHODS as CONSTANT_METHODS
from pgaudit.source.evaluator.operators import FAULTS

LOADERS = {"load", "load_from_file", "load_from_serialized_proto"}


class Expressions(State):
    """Evaluates expressions in the current frame; which functions of the script are entered is left to the subclass."""

    def __init__(self, targets: Iterable[Opaque] = (), report: Spot | None = None) -> None:
        super().__init__(targets)
        self.report = report
        self.scales: list[float] = []
        """What the metric that is printed at ``report`` was multiplied by since it was a sum or a mean of losses."""
        self._attached: dict[tuple[Any, str], Any] = {}
        """Attributes that the script sets on objects that are not known."""

    @abstractmethod
    def call_script(self, function: Function | Class, arguments: list[Any], options: dict[str, Any]) -> Any:
        """Call a function or class of the script."""

    @abstractmethod
    def elements(self, source: Any, body: ir.Node) -> tuple[list[Any], bool]:
        """What a loop over ``source`` binds, and whether that is everything in order."""

    @abstractmethod
    def bind(self, target: ir.Expr, value: Any) -> None:
        """``target = value``."""

    def evaluate(self, node: ir.Expr | None) -> Any:
        """The value of an expression."""
        if node is None:
            return None
        method = self._KINDS.get(type(node))
        value = method(self, node) if method else self.fresh()
        self.charge(value)
        return value

    def lookup(self, name: str) -> Any:
        """The value of a name: local, enclosing, else the builtin."""
        frame: Frame | None = self.frame.shared.get(name, self.frame)
        while frame is not None:
            if name in frame.names:
                return frame.names[name]
            frame = frame.outer
        return External(f"builtins.{name}")

    # --- parts of values -------------------------------------------------------------------------------------------

    def attribute(self, value: Any, name: str) -> Any:
        """``value.name``."""
        if isinstance(value, External):
            path = f"{value.path}.{name}"
            return CONSTANTS.get(path, External(path))
        if isinstance(value, Frame):
            return value.names.get(name, self.opaque("attribute", value, name))
        if isinstance(value, Class):
            return value.attributes.get(name, self.opaque("attribute", value, name))
        if isinstance(value, Instance):
            if name in value.attributes:
                return value.attributes[name]
            found = value.cls.find(name) if value.cls else None
            if isinstance(found, Function):
                return self._bound(found, value)
            return found if found is not None else Method(value, name)
        if isinstance(value, Opaque):
            return self._attached.get((value, name), Method(value, name))
        if isinstance(value, Method):
            return self._attached.get((self.settled(value), name), Method(self.settled(value), name))
        return Method(value, name)

    def _bound(self, function: Function, receiver: Instance) -> Any:
        kinds = {each.id for each in function.node.decorators if isinstance(each, ir.Name)}
        if "property" in kinds:
            return self.call_script(Function(function.node, function.frame, receiver), [], {})
        return function if "staticmethod" in kinds else Function(function.node, function.frame, receiver)

    def settled(self, value: Any) -> Any:
        """An attribute that is not called is a value of its own."""
        return self.opaque("attribute", value.receiver, value.name) if isinstance(value, Method) else value

    def set_attribute(self, value: Any, name: str, new: Any) -> None:
        """``value.name = new``."""
        value = self.settled(value)
        if isinstance(value, Instance):
            old = value.attributes.get(name)
            value.attributes[name] = self.join(old, new) if self.uncertain else new
        elif isinstance(value, Opaque | Class):
            old = self._attached.get((value, name))
            self._attached[value, name] = self.join(old, new) if self.uncertain else new
        else:
            self.use(new)

    def item(self, value: Any, index: Any) -> Any:
        """``value[index]``."""
        value, index = self.settled(value), self.settled(index)
        if isinstance(value, Lanes):
            return value if isinstance(index, Opaque | slice) else self.fresh()
        if isinstance(index, Opaque):
            table = as_table(value)
            return self.look_up(table, index) if table else self.opaque("item", value, index)
        if isinstance(value, Table) and isinstance(index, slice):
            return self.compute(
                lambda: Table(value.items[index], value.boolean, value.spots[index] if value.spots else [])
            )
        if isinstance(value, Table):
            value = value.items
        if isinstance(value, str | bytes | list | tuple | dict) and not isinstance(index, Lanes | Table):
            return self.compute(lambda: value[index])
        if isinstance(index, slice):
            index = (index.start, index.stop, index.step)
        return self.opaque("item", value, index)

    def store(self, value: Any, index: Any, new: Any) -> None:
        """``value[index] = new``."""
        value, index = self.settled(value), self.settled(index)
        if isinstance(value, Table) and isinstance(index, int) and -len(value.items) <= index < len(value.items):
            value.store(index, self.join(value.items[index], new) if self.uncertain else new, self.spot)
        elif isinstance(value, Table) and isinstance(index, slice):
            self._store_slice(value, index, new)
        elif isinstance(value, Table) and not isinstance(index, int):
            self.use(new)
            value.items[:] = [self.fresh()] * len(value.items)
        elif isinstance(value, dict | list) and isinstance(index, int | str):
            known = value.get(index) if isinstance(value, dict) else None
            self.compute(value.__setitem__, index, self.join(known, new) if self.uncertain else new)
        else:
            self.use(new)

    def _store_slice(self, table: Table, index: slice, new: Any) -> None:
        try:
            places = range(len(table.items))[index]
        except TypeError:
            places = range(len(table.items))
            new = self.fresh()
        row = new.items if isinstance(new, Table) else new if isinstance(new, list | tuple) else None
        for count, place in enumerate(places):
            value = new if row is None else row[count] if count < len(row) else self.fresh()
            table.store(place, self.join(table.items[place], value) if self.uncertain else value, self.spot)

    # --- expressions -----------------------------------------------------------------------------------------------

    def _constant(self, node: ir.Const) -> Any:
        return node.value if node.value is not ... else self.fresh()

    def _name(self, node: ir.Name) -> Any:
        return self.lookup(node.id)

    def _attribute(self, node: ir.Attribute) -> Any:
        return self.attribute(self.evaluate(node.value), node.attr)

    def _subscript(self, node: ir.Subscript) -> Any:
        value, index = self.evaluate(node.value), self.evaluate(node.index)
        self.spot = (self.frame.module, node.line)
        return self.item(value, index)

    def _slice(self, node: ir.Slice) -> Any:
        bounds = [self.settled(self.evaluate(bound)) for bound in (node.lower, node.upper, node.step)]
        return slice(*bounds)

    def _binary(self, node: ir.Binary) -> Any:
        left = self.settled(self.evaluate(node.left))
        return self.binary(node.op, left, self.settled(self.evaluate(node.right)))

    def _unary(self, node: ir.Unary) -> Any:
        value = self.settled(self.evaluate(node.operand))
        if isinstance(value, Opaque | External):
            return self.opaque(node.op, value)
        if node.op == "not" and not isinstance(value, Lanes | Table):
            return not value if self.is_plain(value) else self.opaque("not", value)
        function = {"not": lambda x: not x, "~": inverted, "-": lambda x: -x, "+": lambda x: +x}[node.op]
        return self.elementwise(function, value) if isinstance(value, Lanes | Table) else self.compute(function, value)

    def _boolean(self, node: ir.Boolean) -> Any:
        left = self.settled(self.evaluate(node.left))
        if isinstance(left, Lanes):
            right = self.settled(self.evaluate(node.right))
            function: Callable[[Any, Any], Any] = (
                (lambda one, other: one and other) if node.op == "and" else (lambda one, other: one or other)
            )
            return self.elementwise(function, left, right)
        if not self.is_plain(left):
            return self.opaque(node.op, left, self.evaluate(node.right))
        return self.evaluate(node.right) if bool(left) is (node.op == "and") else left

    def is_plain(self, value: Any) -> bool:
        """Is the truth of this value known?"""
        if isinstance(value, Table | Tokenizer | Instance | Function | Class | Frame):
            return True
        return isinstance(value, str | bytes | int | float | None | list | tuple | dict | set)

    def _compare(self, node: ir.Compare) -> Any:
        left, result = self.settled(self.evaluate(node.left)), True
        for op, expression in zip(node.ops, node.rights, strict=True):
            right = self.settled(self.evaluate(expression))
            outcome = self._compared(op, left, right)
            if not isinstance(outcome, bool) or not outcome:
                return outcome
            left = right
        return result

    def _compared(self, op: str, left: Any, right: Any) -> Any:
        if op in ("is", "is not"):
            if left is None or right is None:
                other = right if left is None else left
                same = other is None
                return same if op == "is" else not same if self.is_plain(other) else self.opaque(op, left, right)
            return self.opaque(op, left, right)
        function = COMPARISONS[op]
        if isinstance(left, Lanes | Table) or isinstance(right, Lanes | Table):
            return self.elementwise(function, left, right)
        return self.compute(function, left, right)

    def _conditional(self, node: ir.Conditional) -> Any:
        test = self.settled(self.evaluate(node.test))
        if isinstance(test, Lanes):
            one, other = self.evaluate(node.body), self.evaluate(node.orelse)
            return self.elementwise(lambda way, one, other: one if way else other, test, one, other)
        if self.is_plain(test):
            return self.evaluate(node.body if test else node.orelse)
        return self.join(self.settled(self.evaluate(node.body)), self.settled(self.evaluate(node.orelse)))

    def _sequence(self, node: ir.Sequence) -> Any:
        items: list[Any] = []
        for item in node.items:
            if isinstance(item, ir.Starred):
                value = self.settled(self.evaluate(item.value))
                if not isinstance(value, list | tuple):
                    return self.fresh()
                items += value
            else:
                items.append(self.settled(self.evaluate(item)))
        if node.kind == "set":
            return self.compute(lambda: set(items))
        return items if node.kind == "list" else tuple(items)

    def _dictionary(self, node: ir.Dictionary) -> Any:
        entries: dict[Any, Any] = {}
        for key_node, value_node in node.items:
            key, value = self.settled(self.evaluate(key_node)), self.settled(self.evaluate(value_node))
            if key_node is None or not isinstance(key, str | bytes | int | float | tuple):
                return self.fresh()
            entries[key] = value
        return entries

    def _comprehension(self, node: ir.Comprehension) -> Any:
        found: list[Any] = []
        outer, self.frame = self.frame, Frame(self.frame.module, {}, self.frame)
        try:
            complete = self._generate(node, 0, found)
        finally:
            self.frame = outer
        if not complete and len(found) == 1 and isinstance(found[0], Lanes):
            return found[0]  # the same counts for each of rows whose number is not known
        if not complete:
            return self.opaque("comprehension", found)
        if node.kind == "dict":
            return self.compute(lambda: dict(found))
        return self.compute(lambda: set(found)) if node.kind == "set" else found

    def _generate(self, node: ir.Comprehension, depth: int, found: list[Any]) -> bool:
        """Collect the elements from the ``depth``-th ``for`` on; false if not all of them are known."""
        if depth == len(node.generators):
            value = self.settled(self.evaluate(node.element))
            found.append((self.settled(self.evaluate(node.key)), value) if node.key else value)
            return True
        generator = node.generators[depth]
        items, complete = self.elements(self.settled(self.evaluate(generator.iterable)), node)
        for item in items:
            self.bind(generator.target, item)
            tests = [self.settled(self.evaluate(condition)) for condition in generator.conditions]
            if not all(self.is_plain(test) for test in tests):
                complete = False
            elif all(tests):
                complete = self._generate(node, depth + 1, found) and complete
        return complete

    def _format(self, node: ir.Format) -> Any:
        parts = [part if isinstance(part, str) else self.settled(self.evaluate(part)) for part in node.parts]
        if all(isinstance(part, str) for part in parts):
            return "".join(parts)
        return self.opaque("format", parts)

    def _walrus(self, node: ir.Walrus) -> Any:
        value = self.settled(self.evaluate(node.value))
        self.bind(node.target, value)
        return value

    def _lambda(self, node: ir.Function) -> Any:
        return Function(node, self.frame)

    # --- calls -----------------------------------------------------------------------------------------------------

    def _call(self, node: ir.Call) -> Any:
        function = self.evaluate(node.func)
        arguments: list[Any] = []
        options: dict[str, Any] = {}
        for argument in node.args:
            value = self.settled(self.evaluate(argument.value))
            if argument.star == 1 and isinstance(value, list | tuple):
                arguments += value
            elif argument.keyword:
                options[argument.keyword] = value
            elif argument.star == 2 and isinstance(value, dict):
                options |= {str(name): each for name, each in value.items()}
            else:
                arguments.append(value)
        self.spot = (self.frame.module, node.line)
        if self.spot == self.report:
            self._reported(node)
        return self.call(function, arguments, options)

    def call(self, function: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        """The value of a call."""
        if isinstance(function, Function | Class):
            return self.call_script(function, arguments, options)
        if isinstance(function, External):
            if function.path in FUNCTIONS:
                return FUNCTIONS[function.path](self, arguments, options)
            if function.path.startswith("sentencepiece.") and function.path.endswith("SentencePieceProcessor"):
                return Tokenizer()
            if function.path in ("builtins.dict", "types.SimpleNamespace") and not arguments:
                return dict(options) if function.path == "builtins.dict" else Instance(None, dict(options))
        if isinstance(function, Method):
            return self._method(function.receiver, function.name, arguments, options)
        return self._unknown("call", function, arguments, options)

    def _unknown(self, *key: Any) -> Any:
        """A call that is not followed: what it is given counts as used."""
        *_, arguments, options = key
        for value in (*arguments, *options.values()):
            self.use(value)
        return self.opaque(*key[:-1], sorted(options), list(options.values()))

    def _method(self, receiver: Any, name: str, arguments: list[Any], options: dict[str, Any]) -> Any:
        if isinstance(receiver, Tokenizer):
            return self._ask(receiver, snake_case(name), arguments)
        if isinstance(receiver, Table | Lanes):
            return array_method(self, receiver, name, arguments, options)
        if isinstance(receiver, Opaque):
            if name in SAME:
                return receiver
            return self._unknown("method", receiver, name, arguments, options)
        if isinstance(receiver, Instance) and name == "register_buffer" and len(arguments) > 1:
            self.set_attribute(receiver, str(arguments[0]), arguments[1])
            return None
        if isinstance(receiver, dict) and name == "get" and arguments and isinstance(arguments[0], Opaque):
            return self.item(receiver, arguments[0])
        kind = next((kind for kind in CONSTANT_METHODS if isinstance(receiver, kind)), None)
        if kind is not None and name in CONSTANT_METHODS[kind]:
            if isinstance(receiver, list | dict):
                return self._container_method(receiver, CONSTANT_METHODS[kind][name], arguments)
            return pure(self, CONSTANT_METHODS[kind][name], [receiver, *arguments], options)
        if isinstance(receiver, set) and name == "add" and len(arguments) == 1:
            return self.compute(receiver.add, arguments[0])
        return self._unknown("method", receiver, name, arguments, options)

    def _container_method(self, receiver: Any, function: Callable[..., Any], arguments: list[Any]) -> Any:
        """A method of a list or dict. Raises ``Undecided`` if it may or may not make a list by token longer."""
        for value in arguments:
            self.use(value)
        counts = any(is_number(value) or isinstance(value, Lanes) for value in arguments)
        if counts and self.uncertain and self.complete:
            raise Undecided
        try:
            return function(receiver, *arguments)
        except FAULTS:
            return self.fresh()

    def _ask(self, tokenizer: Tokenizer, method: str, arguments: list[Any]) -> Any:
        token = arguments[0] if arguments else 0
        if method in LOADERS:
            return True
        if method in METHODS and isinstance(token, list):
            return [self._ask(tokenizer, method, [each]) for each in token]
        if method in SIZES or method in SPECIAL or (method in METHODS and isinstance(token, int) and token >= 0):
            return tokenizer.call(method, min(token, SIZE) if isinstance(token, int) else 0)
        return self.opaque(method, arguments)

    def _reported(self, node: ir.Call) -> None:
        """The metric is printed here: note its scale."""
        for argument in node.args:
            before = ""
            for part in argument.value.parts if isinstance(argument.value, ir.Format) else ():
                if isinstance(part, str):
                    before = part
                    continue
                value = self.settled(self.evaluate(part))
                if _names_the_metric(before) and isinstance(value, Opaque):
                    self.scales.append(value.factor)
                before = ""

    _KINDS: ClassVar[Mapping[type, Callable[[Any, Any], Any]]] = {
        ir.Const: _constant,
        ir.Name: _name,
        ir.Attribute: _attribute,
        ir.Subscript: _subscript,
        ir.Slice: _slice,
        ir.Binary: _binary,
        ir.Unary: _unary,
        ir.Boolean: _boolean,
        ir.Compare: _compare,
        ir.Conditional: _conditional,
        ir.Sequence: _sequence,
        ir.Dictionary: _dictionary,
        ir.Comprehension: _comprehension,
        ir.Format: _format,
        ir.Walrus: _walrus,
        ir.Function: _lambda,
        ir.Call: _call,
    }


def _names_the_metric(text: str) -> bool:
    return any(word in text.lower() for word in ("bpb", "bits_per_byte", "bits per byte"))
