"""Statements: branches, loops and definitions, each returning how it ended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from pgaudit.engine import calls, choosing, indexing
from pgaudit.engine.expressions import binary, decided, evaluate, index_parts, truth
from pgaudit.engine.iteration import elements
from pgaudit.engine.labels import Activation, Decided, Iteration
from pgaudit.engine.machine import Condition, Frame, Machine
from pgaudit.engine.values import (
    Class,
    Const,
    Data,
    Either,
    External,
    Function,
    Mapping,
    Sequence,
    Value,
    join,
)
from pgaudit.program import ir

Outcome = Literal["return", "break", "continue", "raise"] | None
"""How a block ended for certain; ``None`` where control may fall through."""

STRENGTH: dict[Outcome, int] = {"raise": 0, "return": 1, "break": 2, "continue": 3, None: 4}
"""Of two branches that both end, the one that leaves more of the program alive counts."""


def run(m: Machine, body: list[ir.Stmt]) -> Outcome:
    """Run a block."""
    for position, statement in enumerate(body, 1):
        m.steps += 1
        m.line = statement.line
        outcome = STATEMENTS[type(statement)](m, statement)
        if outcome is not None:
            if m.decider is not None:  # ``if not enabled: return``: what follows does not run
                m.skip(m.decider, statement, body[position:])
                m.decider = None
            return outcome
    m.tick()
    return None


# --- binding -------------------------------------------------------------------------------------------------------


def assign(m: Machine, target: ir.Expr, value: Value) -> None:
    """``target = value``."""
    if isinstance(target, ir.Name):
        frame = m.frame.shared.get(target.id, m.frame)
        frame.env[target.id] = value
    elif isinstance(target, ir.Attribute):
        calls.set_attribute(m, evaluate(m, target.value), target.attr, value, target.line)
    elif isinstance(target, ir.Subscript):
        base = evaluate(m, target.value)
        indexing.store(m, base, index_parts(m, target.index), value, target.line)
    elif isinstance(target, ir.Sequence):
        _unpack(m, target, value)
    elif isinstance(target, ir.Starred):
        assign(m, target.value, value)


def _unpack(m: Machine, target: ir.Sequence, value: Value) -> None:
    if isinstance(value, Either):
        value = _joined_sequences(value)
    star = next((i for i, item in enumerate(target.items) if isinstance(item, ir.Starred)), None)
    if (
        isinstance(value, Sequence)
        and value.store.rest is None
        and (star is not None or len(value.store.items) == len(target.items))
    ):
        items = [m.tagged(item, value.labels) for item in value.store.items]
        if star is not None:
            after = len(target.items) - star - 1
            items[star : len(items) - after] = [Sequence("list", items[star : len(items) - after])]
        for part, item in zip(target.items, items, strict=False):
            assign(m, part, item)
        return
    loop = m.loop_number(target)
    for position, part in enumerate(target.items):
        assign(m, part, _part_of(m, value, position, loop))


def _part_of(m: Machine, value: Value, position: int, loop: int) -> Value:
    if isinstance(value, Sequence):
        return indexing.read(m, value, [Const(position)], m.line)
    if isinstance(value, Data):
        return Data(value.labels, scalar=value.scalar, base=None if value.scalar else value, cell=value.cell)
    return Data(m.content(value))


def _joined_sequences(value: Either) -> Value:
    """Tuples of equal length returned by several branches are joined place by place."""
    options = [option for option in value.options if isinstance(option, Sequence) and option.store.rest is None]
    lengths = {len(option.store.items) for option in options}
    if len(lengths) != 1:
        return options[0] if options else value.options[0]
    items = options[0].store.items
    for option in options[1:]:
        items = [join(one, other) for one, other in zip(items, option.store.items, strict=True)]
    return Sequence("tuple", items)


def _assign(m: Machine, node: ir.Assign) -> Outcome:
    if node.value is None:
        target = node.targets[0]
        if isinstance(target, ir.Name) and target.id not in m.frame.env:
            m.frame.env[target.id] = Data()
        return None
    value = evaluate(m, node.value)
    for target in node.targets:
        assign(m, target, value)
    return None


def _augmented(m: Machine, node: ir.AugAssign) -> Outcome:
    value = evaluate(m, node.value)
    if isinstance(node.target, ir.Subscript):
        base = evaluate(m, node.target.value)
        if node.op == "*":
            choosing.clear(m, base, m.content(value))
        index = index_parts(m, node.target.index)
        old = indexing.read(m, base, index, node.line) if isinstance(base, Sequence | Mapping) else Data()
        if isinstance(old, Data) and not old.scalar and not isinstance(base, Mapping):
            indexing.store(m, base, index, value, node.line) if isinstance(base, Data) else m.write(
                old, m.content(value), node.line
            )
        else:
            indexing.store(m, base, index, binary(m, node.op, old, value), node.line)
        return None
    old = evaluate(m, node.target)
    if isinstance(old, Data) and not old.scalar:
        m.write(old, m.content(value), node.line)
        old.linear = None if old.linear is None else _advanced(m, node.op, old, value)
        return None
    if isinstance(old, Sequence) and node.op == "+" and old.kind == "list" and isinstance(value, Sequence):
        for item in list(value.store.items):  # ``a += a``
            calls.append(m, old, item)
        if value.store.rest is not None:
            old.store.rest = value.store.rest if old.store.rest is None else join(old.store.rest, value.store.rest)
        return None
    assign(m, node.target, binary(m, node.op, old, value))
    return None


def _advanced(m: Machine, op: str, old: Data, value: Value) -> Any:
    by = m.linear(value)
    return old.linear.plus(by, 1 if op == "+" else -1) if op in "+-" and old.linear and by else None


def _delete(m: Machine, node: ir.Delete) -> Outcome:
    for target in node.targets:
        if isinstance(target, ir.Name) and not m.uncertain:
            m.frame.env.pop(target.id, None)
    return None


# --- branches ------------------------------------------------------------------------------------------------------


def _if(m: Machine, node: ir.If) -> Outcome:
    test = evaluate(m, node.test)
    answer = truth(m, test)
    if answer is not None:
        m.skip(test, node, node.orelse if answer else node.body)
        taken = node.body if answer else node.orelse
        if not m.handlers and taken and isinstance(taken[-1], ir.Jump) and taken[-1].kind == "raise":
            return None  # a check that fails: the run that counts did not, so the configuration that is known is not all of it
        m.decide(node, answer)
        outcome = run(m, taken)
        if outcome == "return":
            m.frame.returns[-1] = decided(m, test, m.frame.returns[-1])
            m.decider = test
        return outcome
    m.decide(node, True, False)
    arms = [lambda: _under(m, node.test, True, node.body), lambda: _under(m, node.test, False, node.orelse)]
    return _chosen(m, test, lambda: branch(m, arms))


def _under(m: Machine, test: ir.Expr, answer: bool, body: list[ir.Stmt]) -> Outcome:
    """Run an arm of an undecided branch, and note which: another branch with the same test takes the same arm."""
    before = len(m.conditions)
    m.tested += 1
    m.conditions += [_condition(m, part, answer) for part in (_conjuncts(m, test) if answer else [test])]
    outcome = run(m, body)
    m.tested -= 1
    del m.conditions[before:]
    return outcome


def _conjuncts(m: Machine, test: ir.Expr) -> list[ir.Expr]:
    """The parts of ``a and b and c`` that are not known to hold; what may have effects is not evaluated again."""
    if not isinstance(test, ir.Boolean) or test.op != "and":
        return [test]
    parts = [*_conjuncts(m, test.left), *_conjuncts(m, test.right)]
    return [part for part in parts if not (_is_plain(part) and truth(m, evaluate(m, part)))]


def _condition(m: Machine, test: ir.Expr, answer: bool) -> Condition:
    """What tells one test from another: its operators and literals, and the values behind its names."""
    if not _is_plain(test):
        return Condition("", (Data(),), answer)  # a call may answer differently each time
    words: list[object] = []
    values: list[Value] = []
    for part in ir.nodes([test]):
        if isinstance(part, ir.Name):
            values.append(m.frame.find(part.id) or Data())
        words.append(getattr(part, "ops", getattr(part, "op", part.value if isinstance(part, ir.Const) else None)))
    return Condition(repr(words), tuple(values), answer)


def _is_plain(test: ir.Expr) -> bool:
    """Is it made of names, literals and operators alone, so that it has no effect and asks the same wherever it stands?"""
    plain = (ir.Name, ir.Const, ir.Compare, ir.Binary, ir.Unary, ir.Boolean)
    return all(isinstance(part, plain) for part in ir.nodes([test]))


def _chosen(m: Machine, test: Value, enter: Callable[[], Outcome]) -> Outcome:
    """Run a branch; what it changes depends on the scores, lookups and activations that its test rests on."""
    control = test.labels & m.labels.mask(Decided, Activation) | choosing.gate(m, test, m.line)
    if not control:
        return enter()
    before, outer, returned = m.frame.env, m.control, len(m.frame.returns)
    m.control |= control
    outcome = enter()
    m.control = outer
    m.frame.returns[returned:] = [m.tagged(value, control) for value in m.frame.returns[returned:]]
    for name, value in m.frame.env.items():
        if before.get(name) is not value:
            m.frame.env[name] = m.tagged(value, control)
    return outcome


def branch(m: Machine, arms: list[Callable[[], Outcome]]) -> Outcome:
    """Run arms of which one, not known which, is taken; names are joined, changes in place are kept from all."""
    before = m.frame.env
    alive: list[dict[str, Value]] = []
    outcomes: list[Outcome] = []
    m.uncertain += 1
    for arm in arms:
        m.frame.env = dict(before)
        outcome = arm()
        outcomes.append(outcome)
        if outcome is None:
            alive.append(m.frame.env)
        elif outcome in ("break", "continue") and m.escapes:
            m.escapes[-1].append(m.frame.env)
    m.uncertain -= 1
    if not alive:
        m.frame.env = before
        return max(outcomes, key=STRENGTH.__getitem__)
    m.frame.env = _joined(alive)
    return None


def _joined(environments: list[dict[str, Value]]) -> dict[str, Value]:
    first = environments[0]
    for other in environments[1:]:
        for name, value in other.items():
            mine = first.get(name)
            if mine is None:
                first[name] = value
            elif mine is not value:
                first[name] = join(mine, value)
    return first


def _match(m: Machine, node: ir.Match) -> Outcome:
    subject = evaluate(m, node.subject)

    def arm(names: list[str], body: list[ir.Stmt]) -> Callable[[], Outcome]:
        def enter() -> Outcome:
            m.frame.env.update((name, Data(m.content(subject))) for name in names)
            return run(m, body)

        return enter

    return branch(m, [arm(names, body) for names, body in node.cases] + [lambda: None])


def _try(m: Machine, node: ir.Try) -> Outcome:
    m.handlers += bool(node.handlers)
    outcome = run(m, node.body)
    m.handlers -= bool(node.handlers)
    if any(isinstance(statement, ir.Import) for statement in node.body):
        _without_import(m, node)
    if outcome == "raise" and node.handlers:
        handler = node.handlers[0]
        if handler.name:
            m.frame.env[handler.name] = Data()
        outcome = run(m, handler.body)
    elif outcome is None:
        outcome = run(m, node.orelse)
    final = run(m, node.final)
    return final or outcome


def _without_import(m: Machine, node: ir.Try) -> None:
    """An optional package may be missing: a name that would then stand for another word may have either value."""
    for statement in (statement for handler in node.handlers for statement in handler.body):
        if isinstance(statement, ir.Assign) and isinstance(statement.value, ir.Const):
            for target in statement.targets:
                present = m.frame.env.get(target.id) if isinstance(target, ir.Name) else None
                if isinstance(present, Const) and isinstance(present.value, str) and isinstance(target, ir.Name):
                    m.frame.env[target.id] = join(present, Const(statement.value.value))


# --- loops ---------------------------------------------------------------------------------------------------------


def _for(m: Machine, node: ir.For) -> Outcome:
    source = evaluate(m, node.iterable)
    sample = elements(m, source, m.loop_number(node))
    certain = bool(sample.items) and sample.exact
    if not sample.items:
        m.skip(source, node, node.body)

    def bind(item: Value) -> bool | None:
        assign(m, node.target, item)
        return True

    outcome = _iterate(m, node, [(index, partial(bind, item)) for index, item in sample.items], sample.exact)
    return outcome if certain or outcome is None else None


def _while(m: Machine, node: ir.While) -> Outcome:
    def test() -> bool | None:
        return truth(m, evaluate(m, node.test))

    return _iterate(m, node, [(0, test), (1, test)], False)


def _iterate(
    m: Machine, node: ir.For | ir.While, iterations: list[tuple[int, Callable[[], bool | None]]], exact: bool
) -> Outcome:
    """Walk the chosen iterations; what is carried over a gap between them is no longer known."""
    number, execution = m.loop_number(node), m.steps
    outcome: Outcome = None
    previous = -1
    start = {name: value for name in node.carried if (value := m.frame.env.get(name)) is not None}
    m.sampled += not exact
    m.escapes.append([])
    for index, enter in iterations:
        _carry(
            m,
            node,
            number,
            index,
            start,
            known=exact or index == 0 or (isinstance(node, ir.For) and index == previous + 1 == 1),
        )
        m.loops.append((number, execution, index))
        entered = enter()
        outcome = run(m, node.body) if entered is not False else "break"
        m.loops.pop()
        previous = index
        if outcome in ("break", "return", "raise"):
            break
    escaped = m.escapes.pop()
    m.sampled -= not exact
    if escaped:
        m.frame.env = _joined([m.frame.env, *escaped])
        if outcome in ("return", "raise"):
            outcome = None
    if outcome in ("return", "raise"):
        return outcome
    if outcome != "break" and node.orelse:
        return run(m, node.orelse)
    return None


def _carry(
    m: Machine, node: ir.For | ir.While, number: int, index: int, start: dict[str, Value], *, known: bool
) -> None:
    """Numbers that the body changes are, at the start of an iteration, that iteration's; flags it left alone stay."""
    tag = m.labels.bit(Iteration(number, index))
    env = m.frame.env
    for name in node.carried:
        value = env.get(name)
        if isinstance(value, Const) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
            env[name] = Const(value.value, value.labels | tag) if known else Data(value.labels | tag, scalar=True)
        elif isinstance(value, Const) and isinstance(value.value, bool) and not known and value is not start.get(name):
            env[name] = Data(scalar=True)
        elif isinstance(value, Data) and value.scalar:
            carried = m.tagged(value, tag)
            if index and carried is not value:  # what an earlier iteration decided is past when this one scores
                carried.labels &= ~m.labels.mask(Decided)
            env[name] = carried


# --- definitions ---------------------------------------------------------------------------------------------------


def _function(m: Machine, node: ir.Function) -> Outcome:
    value: Value = Function(node, m.frame)
    for decorator in reversed(node.decorators):
        wrapper = evaluate(m, decorator)
        if isinstance(wrapper, Function):
            value = calls.call(m, wrapper, calls.Arguments([value], {}), node.line)
    m.frame.env[node.name] = value
    return None


def _class(m: Machine, node: ir.Class) -> Outcome:
    bases = [evaluate(m, base) for base in node.bases]
    frame = Frame(m.frame.source, m.frame)
    outer, m.frame = m.frame, frame
    run(m, node.body)
    m.frame = outer
    decorators = [evaluate(m, decorator) for decorator in node.decorators]
    m.frame.env[node.name] = Class(node.name, bases, frame.env, calls.kind_of_class(bases, decorators))
    return None


def _import(m: Machine, node: ir.Import) -> Outcome:
    module = calls.import_module(m, node.module)
    if not node.names:
        if node.bound is not None:
            m.frame.env[node.bound] = module
        else:
            top = node.module.partition(".")[0]
            m.frame.env[top] = calls.import_module(m, top)
        return None
    for bound, name in node.names.items():
        if name == "*":
            calls.import_all(m, module)
            continue
        m.frame.env[bound] = calls.attribute(m, module, name)
    return None


def _scope(m: Machine, node: ir.Scope) -> Outcome:
    for name in node.names:
        frame = m.frame.module()
        if node.kind == "nonlocal":
            holder = m.frame.closure
            while holder is not None and name not in holder.env:
                holder = holder.closure
            frame = holder or frame
        m.frame.shared[name] = frame
    return None


def _with(m: Machine, node: ir.With) -> Outcome:
    for context, target in node.items:
        value = calls.entered(m, evaluate(m, context), node.line)
        if target is not None:
            assign(m, target, value)
    return run(m, node.body)


def _return(m: Machine, node: ir.Return) -> Outcome:
    m.frame.returns.append(evaluate(m, node.value) if node.value is not None else Const(None))
    return "return"


def _evaluate(m: Machine, node: ir.Evaluate) -> Outcome:
    value = evaluate(m, node.value)
    return "raise" if isinstance(value, External) and value.name == calls.EXIT else None


STATEMENTS: dict[type, Callable[[Machine, Any], Outcome]] = {
    ir.Evaluate: _evaluate,
    ir.Assign: _assign,
    ir.AugAssign: _augmented,
    ir.If: _if,
    ir.For: _for,
    ir.While: _while,
    ir.With: _with,
    ir.Try: _try,
    ir.Return: _return,
    ir.Jump: lambda m, node: node.kind,
    ir.Import: _import,
    ir.Scope: _scope,
    ir.Delete: _delete,
    ir.Class: _class,
    ir.Match: _match,
    ir.Function: _function,
}
