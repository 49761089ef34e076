"""Calls and attributes: script functions are entered, networks are opaque, everything outside has a transfer function."""

from __future__ import annotations

from dataclasses import dataclass

from pgaudit.engine.labels import Activation, Iteration, Token, Unset
from pgaudit.engine.machine import MAX_DEPTH, MAX_RECURSION, Frame, Machine, each
from pgaudit.engine.values import (
    Class,
    Const,
    Data,
    Either,
    External,
    Field,
    Function,
    Instance,
    Mapping,
    Method,
    Module,
    Native,
    Network,
    Optimizer,
    Partial,
    Sequence,
    Value,
    join,
)
from pgaudit.program import ir

EXIT = "sys.exit()"
"""What a call that does not return evaluates to."""

ENTERED_EFFECTS = frozenset({"backward", "step", "zero_grad", "grad"})
"""A network's method is entered only if it does one of these; anything else it does is a forward."""
PLACED_WRITES = frozenset({"scatter_", "scatter_add_", "index_put_", "masked_scatter_"})
"""A forward that is given targets and writes at places is entered as well: it may write at the targets."""
MOST_WITHOUT_TARGETS = 2
"""Parameters of a forward that is given no targets: the network and the tokens."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call."""

    positional: list[Value]
    keywords: dict[str, Value]

    def get(self, position: int, name: str) -> Value | None:
        """An argument by position or name."""
        if position < len(self.positional):
            return self.positional[position]
        return self.keywords.get(name)

    def all(self) -> list[Value]:
        """Every argument in order."""
        return [*self.positional, *self.keywords.values()]


NO_ARGUMENTS = Arguments([], {})


# --- calling -------------------------------------------------------------------------------------------------------


def call(m: Machine, func: Value, args: Arguments, line: int) -> Value:
    """The value of ``func(args)``."""
    m.tick()
    m.line = line
    kind = type(func)
    if kind is Function:
        return call_function(m, func, args, line)  # type: ignore[arg-type]
    if kind is External:
        from pgaudit.engine.transfer import call_external

        return call_external(m, func.name, args, line)  # type: ignore[attr-defined]
    if kind is Method:
        from pgaudit.engine.transfer import call_method_of_value

        return call_method_of_value(m, func, args, line)  # type: ignore[arg-type]
    if isinstance(func, Class):
        return instantiate(m, func, args, line)
    if isinstance(func, Network):
        return _call_network(m, func, args, line)
    if isinstance(func, Either):
        return each(func, lambda option: call(m, option, args, line) if not isinstance(option, Const) else Data())
    if isinstance(func, Partial):
        return call(m, func.func, Arguments(func.args + args.positional, func.keywords | args.keywords), line)
    if isinstance(func, Native):
        return func.call(args)
    if isinstance(func, Instance):
        result = call_method(m, func, "__call__", args, line)
        return result if result is not None else opaque(m, args, line)
    return opaque(m, args, line, extra=m.content(func))


def call_function(m: Machine, function: Function, args: Arguments, line: int) -> Value:
    """Enter a function of the script."""
    node = function.node
    depth = m.active.get(id(node), 0)
    if depth >= MAX_RECURSION or len(m.calls) >= MAX_DEPTH:
        if m.union(args.all()) & ~m.labels.mask(
            Iteration, Unset
        ):  # numbers alone change nothing that was not seen above
            m.problem(f"call of {node.name} not followed: nested too deeply")
        return opaque(m, args, line)
    from pgaudit.engine.statements import run

    frame = Frame(function.closure.source, function.closure)
    _bind(m, function, args, frame)
    m.active[id(node)] = depth + 1
    m.calls.append((m.frame.source, line))
    outer, m.frame = m.frame, frame
    escapes, m.escapes = m.escapes, []
    outcome = run(m, node.body)
    m.escapes = escapes
    m.frame = outer
    m.calls.pop()
    m.active[id(node)] = depth
    m.line = line
    if node.is_generator:
        return Sequence("list", [], _joined(frame.yields) or Data())
    result = _joined(frame.returns)
    if result is None:
        return External(EXIT) if outcome == "raise" and not m.uncertain else Const(None)
    return result


def _joined(values: list[Value]) -> Value | None:
    result: Value | None = None
    for value in values:
        result = value if result is None else join(result, value)
    return result


def _bind(m: Machine, function: Function, args: Arguments, frame: Frame) -> None:
    positional = ([function.receiver] if function.receiver is not None else []) + args.positional
    keywords = dict(args.keywords)
    position = 0
    from pgaudit.engine.expressions import evaluate

    for param in function.node.params:
        if param.kind == "*":
            frame.env[param.name] = Sequence("tuple", positional[position:])
            position = len(positional)
        elif param.kind == "**":
            frame.env[param.name] = Mapping(dict(keywords))
        elif param.kind == "plain" and position < len(positional):
            frame.env[param.name] = positional[position]
            position += 1
        elif param.name in keywords:
            frame.env[param.name] = keywords.pop(param.name)
        elif param.default is not None:
            outer, m.frame = m.frame, function.closure
            frame.env[param.name] = evaluate(m, param.default)
            m.frame = outer
        else:
            frame.env[param.name] = Data()


def call_method(m: Machine, instance: Instance, name: str, args: Arguments, line: int) -> Value | None:
    """Call a method of an object of the script; ``None`` if it has no such method."""
    method = instance.cls.find(name) if instance.cls is not None else None
    if not isinstance(method, Function):
        return None
    return call_function(m, Function(method.node, method.closure, instance), args, line)


def opaque(m: Machine, args: Arguments, line: int, extra: int = 0) -> Value:
    """The result of a call that cannot be entered: it may depend on everything that went in.

    Where network outputs meet raw token ids, it is a loss or a probability of those tokens.
    """
    contents = [m.content(value) for value in args.all()]
    tokens, activations = m.labels.mask(Token), m.labels.mask(Activation)
    labels = extra
    for content in contents:
        labels |= content
    targets = 0
    if labels & activations:
        for content in contents:
            if content & tokens and not content & activations:
                targets |= content & tokens
    if targets:
        return Data(m.score(targets, labels, line))
    return Data(labels & ~m.labels.mask(Iteration))


# --- networks ------------------------------------------------------------------------------------------------------


def _call_network(m: Machine, network: Network, args: Arguments, line: int) -> Value:
    """A forward: token ids become activations; ids in a second argument are targets, and the result is their loss."""
    tokens = m.labels.mask(Token)
    labels, seen = network.labels, 0
    targets = 0
    for value in args.all():
        content = m.content(value)
        own = content & tokens
        if own and seen and not targets:
            targets = own
        seen |= own
        labels |= content & ~tokens
    labels |= _activations(m, seen)
    labels &= ~m.labels.mask(Iteration)
    for hook in list(m.hooks.get(id(network), ())):
        call(m, hook, Arguments([Data(cell=network), Sequence("tuple", [Data(labels)]), Data(labels)], {}), line)
    if targets:
        return Data(m.score(targets, labels, line) | labels & m.labels.mask(Activation))
    return Data(labels)


def _activations(m: Machine, tokens: int) -> int:
    labels = 0
    for token in m.labels.of(tokens, Token):
        labels |= m.labels.bit(Activation(*token[:4]))
    return labels


def _has_effects(node: ir.Function) -> bool:
    """Does the body train anything, or write at places that a second argument may name?"""
    entered = ENTERED_EFFECTS | PLACED_WRITES if len(node.params) > MOST_WITHOUT_TARGETS else ENTERED_EFFECTS
    return any(isinstance(part, ir.Attribute) and part.attr in entered for part in ir.nodes(node.body))


# --- classes -------------------------------------------------------------------------------------------------------


def kind_of_class(bases: list[Value], decorators: list[Value]) -> str:
    """What the bases and decorators of a class make of it."""
    for base in bases:
        if isinstance(base, Class) and base.kind != "plain":
            return base.kind
        if isinstance(base, External):
            for suffix, kind in (
                ("nn.Module", "network"),
                ("optim.Optimizer", "optimizer"),
                ("optimizer.Optimizer", "optimizer"),
                ("autograd.Function", "autograd"),
                ("NamedTuple", "dataclass"),
            ):
                if base.name.endswith(suffix):
                    return kind
    for decorator in decorators:
        if isinstance(decorator, External) and "dataclass" in decorator.name:
            return "dataclass"
    return "plain"


def instantiate(m: Machine, cls: Class, args: Arguments, line: int) -> Value:
    """An object of a class of the script."""
    if cls.kind == "network":
        network = Network(cls)
        m.trainable(network)
        return network
    if cls.kind == "optimizer":
        return Optimizer(cells_of(m, args.all()))
    instance = Instance(cls)
    if cls.kind == "dataclass":
        _fill_fields(m, cls, instance, args)
        call_method(m, instance, "__post_init__", NO_ARGUMENTS, line)
        return instance
    call_method(m, instance, "__init__", args, line)
    return instance


def _fill_fields(m: Machine, cls: Class, instance: Instance, args: Arguments) -> None:
    for base in cls.bases:
        if isinstance(base, Class):
            _fill_fields(m, base, instance, NO_ARGUMENTS)
    names = [name for name, value in cls.attrs.items() if not isinstance(value, Function)]
    for name in names:
        value = cls.attrs[name]
        instance.attrs[name] = call(m, value.factory, NO_ARGUMENTS, m.line) if isinstance(value, Field) else value
    instance.attrs.update(zip(names, args.positional, strict=False))
    instance.attrs.update(args.keywords)


def cells_of(m: Machine, values: list[Value]) -> list[Value]:
    """The networks and tensors whose state an optimiser over ``values`` changes."""
    cells: list[Value] = []
    pending = list(values)
    seen: set[int] = set()
    while pending:
        value = pending.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        cell: Value | None = None
        if isinstance(value, Network):
            cell = value
        elif isinstance(value, Data):
            cell = value.cell or (value if not value.scalar else None)
        elif isinstance(value, Sequence | Mapping | Either):
            from pgaudit.engine.machine import parts

            pending.extend(parts(value))
        if cell is not None and cell not in cells:
            m.trainable(cell)
            cells.append(cell)
    return cells


# --- attributes ----------------------------------------------------------------------------------------------------

DECORATED = {"property", "cached_property", "staticmethod", "classmethod"}


def _decoration(function: Function) -> str:
    for decorator in function.node.decorators:
        name = (
            decorator.id
            if isinstance(decorator, ir.Name)
            else decorator.attr
            if isinstance(decorator, ir.Attribute)
            else ""
        )
        if name in DECORATED:
            return name
    return ""


def attribute(m: Machine, value: Value, name: str) -> Value:
    """The value of ``value.name``."""
    if isinstance(value, External):
        return External(f"{value.name}.{name}")
    if isinstance(value, Instance):
        return _instance_attribute(m, value, name)
    if isinstance(value, Module):
        return value.frame.env.get(name) or Data()
    if isinstance(value, Class):
        found = value.find(name)
        if isinstance(found, Function) and _decoration(found) == "classmethod":
            return Function(found.node, found.closure, value)
        return found if found is not None else Method(value, name)
    if isinstance(value, Either):
        options = [option for option in value.options if not isinstance(option, Const) or option.value is not None]
        return each(Either(options or value.options), lambda option: attribute(m, option, name))
    if isinstance(value, Function):
        return Data() if name.startswith("__") else Method(value, name)
    if isinstance(value, Data):
        from pgaudit.engine.transfer.tensors import tensor_attribute

        return tensor_attribute(m, value, name)
    if isinstance(value, Optimizer) and name == "param_groups":
        params = [Data(cell=cell) if isinstance(cell, Network) else cell for cell in value.cells]
        return Sequence("list", [], Mapping({"params": Sequence("list", params), "lr": Data(scalar=True)}, Data()))
    return Method(value, name)


def _instance_attribute(m: Machine, value: Instance, name: str) -> Value:
    found = value.attrs.get(name)
    if found is not None:
        return found
    found = value.cls.find(name) if value.cls is not None else None
    if isinstance(found, Function):
        decoration = _decoration(found)
        if decoration == "staticmethod":
            return found
        bound = Function(found.node, found.closure, value.cls if decoration == "classmethod" else value)
        if decoration in ("property", "cached_property"):
            return call_function(m, bound, NO_ARGUMENTS, m.line)
        if isinstance(value, Network) and not _has_effects(found.node):
            return value
        return bound
    if found is not None:
        return found
    if isinstance(value, Network):
        from pgaudit.engine.transfer.networks import network_attribute

        return network_attribute(m, value, name)
    return Method(value, name) if value.cls is not None else Data()


def set_attribute(m: Machine, value: Value, name: str, new: Value, line: int) -> None:
    """``value.name = new``."""
    if isinstance(value, Either):
        for option in value.options:
            set_attribute(m, option, name, new, line)
    elif isinstance(value, Network) and not isinstance(new, Function | Const | Instance | Sequence):
        if not m.content(new) & m.labels.mask(Token):  # ids are an input of the forward, no weights
            m.write(value, m.content(new), line)
    elif isinstance(value, Instance):
        old = value.attrs.get(name)
        value.attrs[name] = join(old, new) if m.uncertain and old is not None else new
    elif isinstance(value, Class):
        value.attrs[name] = new
    elif isinstance(value, Module):
        value.frame.env[name] = new
    elif isinstance(value, Data) and name == "data":
        m.write(value, m.content(new), line, replace=True)
    elif isinstance(value, Data) and name == "requires_grad" and isinstance(new, Const) and new.value is True:
        m.trainable(value.cell or value)


def entered(m: Machine, context: Value, line: int) -> Value:
    """What ``with context as name`` binds."""
    if isinstance(context, Instance) and not isinstance(context, Network):
        result = call_method(m, context, "__enter__", NO_ARGUMENTS, line)
        return result if result is not None else context
    if isinstance(context, Sequence) and context.store.rest is not None and not context.store.items:
        return context.store.rest
    return context


def append(m: Machine, target: Sequence, item: Value) -> None:
    """``list.append``: exact as long as every iteration is walked and the call is certain."""
    store = target.store
    if m.sampled or m.uncertain or store.rest is not None:
        store.rest = item if store.rest is None else join(store.rest, item)
    else:
        store.items.append(item)


# --- modules -------------------------------------------------------------------------------------------------------


def import_module(m: Machine, name: str) -> Value:
    """A module: walked if it lies beside the script, external otherwise."""
    local = name.lstrip(".")
    if local in m.modules:
        return m.modules[local]
    sibling = m.sibling(local) if local else None
    if sibling is None:
        return External(name)
    from pgaudit.engine.statements import run

    frame = Frame(local)
    frame.env["__name__"] = Const(local)
    module = m.modules[local] = Module(frame)
    outer, m.frame = m.frame, frame
    run(m, sibling.body)
    m.frame = outer
    return module


def import_all(m: Machine, module: Value) -> None:
    """``from module import *``."""
    if isinstance(module, Module):
        m.frame.env.update((name, value) for name, value in module.frame.env.items() if not name.startswith("_"))
