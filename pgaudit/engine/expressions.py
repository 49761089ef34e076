"""Expressions: one function for each kind, from lowered node to abstract value."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from pgaudit.engine import calls, choosing, indexing
from pgaudit.engine.comparisons import ORDERS, answer_of, compared, note_limit
from pgaudit.engine.folding import UNKNOWN, fold
from pgaudit.engine.iteration import elements
from pgaudit.engine.labels import Bytes, Decided, Iteration, Lookup, Score, Token, Unset
from pgaudit.engine.machine import Machine, each
from pgaudit.engine.transfer.strings import join_text, text_of
from pgaudit.engine.values import (
    Class,
    Const,
    Data,
    Either,
    External,
    Function,
    Instance,
    Mapping,
    Method,
    Module,
    Native,
    Sequence,
    Value,
    join,
)
from pgaudit.program import ir

MOST_ITEMS = 4096
"""Longer lists are summed up."""
EXACT_COMPREHENSION = 16
"""Comprehensions over at most this many known elements are evaluated one by one, longer ones once, symbolically."""


def evaluate(m: Machine, node: ir.Expr) -> Value:
    """The abstract value of an expression."""
    return EXPRESSIONS[type(node)](m, node)


def truth(m: Machine, value: Value) -> bool | None:
    """Is the value true? ``None`` where it is not known."""
    kind = type(value)
    if kind is Const:
        return bool(value.value)  # type: ignore[attr-defined]
    if kind is Data:
        return True if value.positive else None  # type: ignore[attr-defined]
    if isinstance(value, Sequence):
        return True if value.store.items else None if value.store.rest is not None else False
    if isinstance(value, Mapping):
        return True if value.entries else None if value.rest is not None else False
    if isinstance(value, Either):
        answers = {truth(m, option) for option in value.options}
        return answers.pop() if len(answers) == 1 else None
    if isinstance(value, Function | Class | Instance | External | Method | Module | Native):
        return True
    return None


def binary(m: Machine, op: str, left: Value, right: Value) -> Value:
    """The value of ``left op right``."""
    if type(left) is Const and type(right) is Const:
        folded = fold(op, left.value, right.value)
        if folded is not UNKNOWN:
            return Const(folded, left.labels | right.labels)
    if isinstance(left, Either) or isinstance(right, Either):
        return each(left, lambda one: each(right, lambda other: binary(m, op, one, other)))
    if isinstance(left, Sequence) and (isinstance(right, Sequence) or op == "*"):
        return _sequence_arithmetic(m, op, left, right)
    if op in "+/%" and (text := join_text(op, left, right)) is not None:
        return Data(m.content(left) | m.content(right), scalar=True, text=text)
    mine, theirs = m.content(left), m.content(right)
    result = Data(mine | theirs)
    scores = m.labels.mask(Score)
    if op == "/" and mine & scores and not theirs & scores and theirs & m.labels.mask(Lookup, Bytes):
        result.labels |= choosing.spread(m, mine & scores, theirs & m.labels.mask(Lookup, Bytes), m.line)
    if op == "*" and (mine | theirs) & m.labels.mask(Decided):
        choosing.clear(m, left, theirs)
        choosing.clear(m, right, mine)
    result.answers = op in "&|" and any(isinstance(side, Data) and side.answers for side in (left, right))
    tokens = m.labels.mask(Token)
    if op == "+" and mine & tokens and theirs & tokens:
        result.summands = mine, theirs
    result.scalar = _scalar(left) and _scalar(right)
    result.linear = _linear(m, op, left, right)
    return result


def _scalar(value: Value) -> bool:
    return value.scalar if type(value) is Data else type(value) is Const


def _linear(m: Machine, op: str, left: Value, right: Value) -> Any:
    if op in "+-" and (_addressable(left) and _addressable(right)):
        one, other = m.linear(left), m.linear(right)
        if one is not None and other is not None:
            return one.plus(other, 1 if op == "+" else -1)
    if op == "*":
        for side, factor in ((left, right), (right, left)):
            if (
                type(factor) is Const
                and type(factor.value) is int
                and _addressable(side)
                and (form := m.linear(side)) is not None
            ):
                return form.times(factor.value)
    return None


def _addressable(value: Value) -> bool:
    """Known integers, unknown scalars and index arrays have linear forms; the content of tensors has none."""
    return (type(value) is Const and type(value.value) is int) or (
        type(value) is Data and (value.scalar or value.linear is not None)
    )


def _sequence_arithmetic(m: Machine, op: str, left: Sequence, right: Value) -> Value:
    if op == "+" and isinstance(right, Sequence) and len(left.store.items) + len(right.store.items) <= MOST_ITEMS:
        rest = left.store.rest
        if right.store.rest is not None:
            rest = right.store.rest if rest is None else join(rest, right.store.rest)
        return Sequence(left.kind, left.store.items + right.store.items, rest, left.labels | right.labels)
    if (
        op == "*"
        and type(right) is Const
        and isinstance(right.value, int)
        and len(left.store.items) * right.value <= EXACT_COMPREHENSION
    ):
        return Sequence(left.kind, left.store.items * right.value, left.store.rest, left.labels)
    rest = left.store.rest
    for item in left.store.items:
        rest = item if rest is None else join(rest, item)
    return Sequence(left.kind, [], rest, left.labels | m.tags(m.content(right)))


def _const(m: Machine, node: ir.Const) -> Value:
    return Const(node.value)


def _name(m: Machine, node: ir.Name) -> Value:
    value = m.frame.env.get(node.id)
    if value is None and node.id in m.frame.shared:
        value = m.frame.shared[node.id].env.get(node.id)
    if value is None:
        value = m.frame.find(node.id)
    return value if value is not None else External(f"builtins.{node.id}")


def _attribute(m: Machine, node: ir.Attribute) -> Value:
    return calls.attribute(m, evaluate(m, node.value), node.attr)


def _subscript(m: Machine, node: ir.Subscript) -> Value:
    base = evaluate(m, node.value)
    return indexing.read(m, base, index_parts(m, node.index), node.line)


def index_parts(m: Machine, node: ir.Expr) -> list[Value | indexing.Bounds]:
    """The components of a subscript."""
    nodes = node.items if isinstance(node, ir.Sequence) and node.kind == "tuple" else [node]
    return [_index_part(m, item) for item in nodes]


def _index_part(m: Machine, node: ir.Expr) -> Value | indexing.Bounds:
    if isinstance(node, ir.Slice):
        bounds = [evaluate(m, bound) if bound is not None else None for bound in (node.lower, node.upper, node.step)]
        return indexing.Bounds(*bounds)
    return evaluate(m, node.value if isinstance(node, ir.Starred) else node)


def _call(m: Machine, node: ir.Call) -> Value:
    func = evaluate(m, node.func)
    args: list[Value] = []
    keywords: dict[str, Value] = {}
    for argument in node.args:
        value = evaluate(m, argument.value)
        if argument.keyword is not None:
            keywords[argument.keyword] = value
        elif argument.star == 1:
            args.extend(_spread(value))
        elif argument.star == 2:
            if isinstance(value, Mapping):
                keywords.update((key, item) for key, item in value.entries.items() if isinstance(key, str))
        else:
            args.append(value)
    return calls.call(m, func, calls.Arguments(args, keywords), node.line)


def _spread(value: Value) -> list[Value]:
    if isinstance(value, Sequence):
        return value.store.items + ([value.store.rest] if value.store.rest is not None else [])
    return [value]


def _binary(m: Machine, node: ir.Binary) -> Value:
    return binary(m, node.op, evaluate(m, node.left), evaluate(m, node.right))


def _unary(m: Machine, node: ir.Unary) -> Value:
    value = evaluate(m, node.operand)
    if node.op == "not":
        answer = truth(m, value)
        return (
            Data(compared(m, value), scalar=True)
            if answer is None
            else Const(not answer, value.labels & m.labels.mask(Unset))
        )
    if type(value) is Const and isinstance(value.value, int | float):
        if node.op != "~":
            return Const(-value.value if node.op == "-" else value.value, value.labels)
        if isinstance(value.value, int):
            return Const(~value.value, value.labels)
    result = Data(m.content(value), scalar=_scalar(value))
    if node.op == "-" and _addressable(value) and (form := m.linear(value)) is not None:
        result.linear = form.times(-1)
    return result


def _boolean(m: Machine, node: ir.Boolean) -> Value:
    left = evaluate(m, node.left)
    answer = truth(m, left)
    if answer is not None:
        if answer is not (node.op == "and"):
            return left
        right = evaluate(m, node.right)
        return m.tagged(right, left.labels & m.labels.mask(Unset)) if type(right) is Const else right
    right = evaluate(m, node.right)
    decided = truth(m, right)
    if (node.op == "and" and decided is False) or (node.op == "or" and decided is True and type(right) is Const):
        return right
    return join(left, right)


def _compare(m: Machine, node: ir.Compare) -> Value:
    left = evaluate(m, node.left)
    answers: list[bool | None] = []
    labels = unset = 0
    for op, right_node in zip(node.ops, node.rights, strict=True):
        right = evaluate(m, right_node)
        labels |= compared(m, left, right)
        labels |= choosing.choose(m, left, right, node.line) if op in ORDERS else 0
        labels |= choosing.match(m, left, right, node.line) if op == "==" else 0
        unset |= (left.labels | right.labels) & m.labels.mask(Unset)
        answers.append(answer_of(m, op, left, right))
        note_limit(m, left, right, node.line)
        left = right
    if False in answers:
        return Const(False, unset)
    if None not in answers:
        return Const(True, unset)
    result = Data(labels, scalar=False)
    result.answers = True
    return result


def decided(m: Machine, test: Value, value: Value) -> Value:
    """A value chosen by a test that a setting's absence decided: if it means *off*, it is that setting's off-default."""
    unset = test.labels & m.labels.mask(Unset)
    return m.tagged(value, unset) if unset and type(value) is Const and not value.value else value


def _conditional(m: Machine, node: ir.Conditional) -> Value:
    test = evaluate(m, node.test)
    answer = truth(m, test)
    if answer is not None:
        m.decide(node, answer)
        return decided(m, test, evaluate(m, node.body if answer else node.orelse))
    m.decide(node, True, False)
    m.uncertain += 1
    body, orelse = evaluate(m, node.body), evaluate(m, node.orelse)
    m.uncertain -= 1
    return m.tagged(join(body, orelse), test.labels & m.labels.mask(Decided))


def _sequence(m: Machine, node: ir.Sequence) -> Value:
    items: list[Value] = []
    rest: Value | None = None
    for item in node.items:
        if isinstance(item, ir.Starred):
            value = evaluate(m, item.value)
            if isinstance(value, Sequence):
                items.extend(value.store.items)
                rest = value.store.rest or rest
            else:
                rest = Data(m.content(value))
        else:
            items.append(evaluate(m, item))
    if len(items) > MOST_ITEMS:
        rest = reduce(join, items, rest or items[0])
        items = []
    return Sequence(node.kind, items, rest)


def _dictionary(m: Machine, node: ir.Dictionary) -> Value:
    result = Mapping({})
    for key_node, value_node in node.items:
        value = evaluate(m, value_node)
        if key_node is None:
            if isinstance(value, Mapping):
                result.entries.update(value.entries)
                result.rest = value.rest or result.rest
            else:
                result.rest = Data(m.content(value))
        else:
            indexing.set_entry(result, evaluate(m, key_node), value)
    return result


def _comprehension(m: Machine, node: ir.Comprehension) -> Value:
    outer = m.frame.env
    m.frame.env = dict(outer)
    found: list[tuple[Value | None, Value]] = []
    exact = _generate(m, node, 0, found)
    bound = m.frame.env
    m.frame.env = outer
    outer.update(
        (name, value)
        for name, value in bound.items()
        if name in outer and outer[name] is not value and name in _walrus_names(node)
    )
    if node.kind == "dict":
        mapping = Mapping({})
        for key, value in found:
            indexing.set_entry(mapping, key if key is not None and exact else Data(m.content(key)), value)
        return mapping
    items = [value for _, value in found]
    kind = "list" if node.kind == "generator" else node.kind
    if exact:
        return Sequence(kind, items)
    own = m.loop_number(node)
    rest: Value | None = None
    for item in items:
        one = _without_loop(m, item, own)
        rest = one if rest is None else join(rest, one)
    return Sequence(kind, [], rest if rest is not None else Data())


def _walrus_names(node: ir.Comprehension) -> set[str]:
    return {part.target.id for part in [node.element, *node.generators[0].conditions] if isinstance(part, ir.Walrus)}


def _without_loop(m: Machine, value: Value, loop: int) -> Value:
    """An element of a summed-up list is no longer that of one iteration."""
    if not isinstance(value, Data | Const):
        return value
    drop = sum(m.labels.bit(label) for label in m.labels.of(value.labels, Iteration) if label.loop == loop)
    if isinstance(value, Const):
        return (
            Const(value.value, value.labels & ~drop)
            if isinstance(value.value, str)
            else Data(value.labels & ~drop, scalar=True)
        )
    if value.scalar:
        return Data(value.labels & ~drop, scalar=True, text=value.text)
    value.labels &= ~drop
    return value


def _generate(m: Machine, node: ir.Comprehension, depth: int, found: list[tuple[Value | None, Value]]) -> bool:
    """Run the generators from ``depth`` on; returns whether every element is known to be in ``found``."""
    from pgaudit.engine.statements import assign

    if depth == len(node.generators):
        key = evaluate(m, node.key) if node.key is not None else None
        found.append((key, evaluate(m, node.element)))
        return True
    generator = node.generators[depth]
    source = evaluate(m, generator.iterable)
    sample = elements(m, source, m.loop_number(node), EXACT_COMPREHENSION)
    exact = sample.exact
    chosen = sample.items if exact else sample.items[:1]
    for index, item in chosen:
        m.loops.append((m.loop_number(node), m.steps, index))
        m.sampled += not exact
        m.tick()
        assign(m, generator.target, item)
        answers = [truth(m, evaluate(m, condition)) for condition in generator.conditions]
        if False not in answers:
            exact = _generate(m, node, depth + 1, found) and exact and None not in answers
        m.sampled -= not sample.exact
        m.loops.pop()
    return exact


def _format(m: Machine, node: ir.Format) -> Value:
    labels = 0
    parts: list[str] = []
    holes: list[int] = []
    for part in node.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = evaluate(m, part)
        content = m.content(value)
        labels |= content
        # What an off-default prints is not what the run printed, if something that is not known set it.
        off = type(value) is Const and bool(content & m.labels.mask(Unset))
        parts.append("\0" if off else text_of(value))
        holes += [content] * parts[-1].count("\0")
    text = "".join(parts)
    if "\0" not in text:
        return Const(text, labels)
    result = Data(labels, scalar=True, text=text)
    result.holes = tuple(holes)
    return result


def _walrus(m: Machine, node: ir.Walrus) -> Value:
    value = evaluate(m, node.value)
    m.frame.env[node.target.id] = value
    return value


def _yield(m: Machine, node: ir.Yield) -> Value:
    if node.value is not None:
        m.frame.yields.append(evaluate(m, node.value))
    return Const(None)


def _function(m: Machine, node: ir.Function) -> Value:
    return Function(node, m.frame)


def _slice(m: Machine, node: ir.Slice) -> Value:
    return Data()


def _starred(m: Machine, node: ir.Starred) -> Value:
    return evaluate(m, node.value)


EXPRESSIONS: dict[type, Callable[[Machine, Any], Value]] = {
    ir.Const: _const,
    ir.Name: _name,
    ir.Attribute: _attribute,
    ir.Subscript: _subscript,
    ir.Call: _call,
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
    ir.Yield: _yield,
    ir.Function: _function,
    ir.Slice: _slice,
    ir.Starred: _starred,
}
