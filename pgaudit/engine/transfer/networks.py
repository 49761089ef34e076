"""Networks and optimisers: state, its copies, and the steps that change it."""

from __future__ import annotations

from collections.abc import Callable

from pgaudit.engine.calls import Arguments, call, opaque
from pgaudit.engine.labels import Activation, Depends, Iteration, Score, Token
from pgaudit.engine.machine import Machine
from pgaudit.engine.transfer.builtins import first
from pgaudit.engine.values import (
    Const,
    Data,
    External,
    Function,
    Instance,
    Mapping,
    Method,
    Native,
    Network,
    Optimizer,
    Sequence,
    Value,
)

MOST_HOOKS = 4
"""Hooks of one network that are called: they are alike, one per layer."""
LOSSES = {"CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss"}
ITSELF = frozenset(
    {
        "to",
        "cuda",
        "cpu",
        "float",
        "half",
        "bfloat16",
        "double",
        "train",
        "eval",
        "requires_grad_",
        "apply",
        "compile",
        "module",
    }
)
PARAMETERS = frozenset({"parameters", "buffers", "children"})
NAMED = frozenset({"named_parameters", "named_buffers", "named_modules", "named_children"})


def module(m: Machine, name: str, args: Arguments, line: int) -> Value:
    """``torch.nn.Something(…)``."""
    kind = name.rpartition(".")[2]
    if kind in LOSSES:
        return External(f"torch.nn.functional.{LOSSES[kind]}")
    for value in args.all():
        if isinstance(value, Network) and kind not in ("ModuleList", "Sequential", "ModuleDict"):
            return value
    network = Network(None)
    network.labels |= m.union(args.all()) & ~m.labels.mask(Iteration, Depends)
    m.trainable(network)
    return network


def network_attribute(m: Machine, network: Network, name: str) -> Value:
    """An attribute that the class does not define: a method of torch's, a submodule or a parameter."""
    if name in ITSELF or name in PARAMETERS or name in NAMED or name in METHODS:
        return Method(network, name)
    if name in ("training", "device", "dtype"):
        return Data()
    return Data(cell=network)


def call_method(m: Machine, network: Network, name: str, args: Arguments, line: int) -> Value:
    """``network.name(args)`` for the methods that torch gives every module."""
    if name in ITSELF:
        return network
    part = Data(cell=network)
    if name in PARAMETERS:
        return Sequence("list", [], part)
    if name in NAMED:
        return Sequence("list", [], Sequence("tuple", [Data(scalar=True, text="\0"), part]))
    method = METHODS.get(name)
    if method is not None:
        return method(m, network, args, line)
    return opaque(m, args, line, extra=network.labels)


def _state_dict(m: Machine, network: Network, args: Arguments, line: int) -> Value:
    state = Mapping({}, Data(cell=network))
    state.keys = Data(scalar=True, text="\0")
    return state


def _load(m: Machine, network: Network, args: Arguments, line: int) -> Value:
    labels = m.union(args.all()) & ~m.labels.mask(Iteration)
    learned = labels & m.labels.mask(Token, Activation)
    own = m.labels.bit(Depends(id(network)))
    # A score in a checkpoint is a number beside the weights: it is no part of them.
    network.labels = own | labels & ~(learned | m.labels.mask(Score)) | m.outlived(network.labels)
    if learned:
        m.fit(network, learned, line)
    return Data()


def register_hook(m: Machine, cell: Network, args: Arguments) -> Value:
    """``register_forward_hook(fn)``: a handle that can remove it."""
    hook = args.get(0, "hook")
    hooks = m.hooks.setdefault(id(cell), [])
    if hook is not None and len(hooks) < MOST_HOOKS:
        hooks.append(hook)
    registered = m.uncertain

    def remove(given: Arguments) -> Value:
        if hook in hooks and m.uncertain <= registered:  # in the branch that registered it, it is gone for certain
            hooks.remove(hook)
        return Const(None)

    return Instance(None, {"remove": Native(remove)})


def _zero_grad(m: Machine, network: Network, args: Arguments, line: int) -> Value:
    m.gradients.pop(id(network), None)
    return Const(None)


METHODS: dict[str, Callable[[Machine, Network, Arguments, int], Value]] = {
    "register_forward_hook": lambda m, network, args, line: register_hook(m, network, args),
    "register_forward_pre_hook": lambda m, network, args, line: register_hook(m, network, args),
    "modules": lambda m, network, args, line: Sequence("list", [], network),
    "state_dict": _state_dict,
    "load_state_dict": _load,
    "zero_grad": _zero_grad,
}


def call_optimizer(m: Machine, optimizer: Optimizer, name: str, args: Arguments, line: int) -> Value:
    """``optimizer.name(args)``."""
    if name == "step":
        for value in args.positional:
            if isinstance(value, Function):
                call(m, value, Arguments([], {}), line)
        for cell in optimizer.cells:
            if uses := m.gradients.get(id(cell), 0):
                m.update(cell, "step", uses, line)
    elif name == "zero_grad":
        for cell in optimizer.cells:
            m.gradients.pop(id(cell), None)
    elif name == "add_param_group":
        from pgaudit.engine.calls import cells_of

        optimizer.cells.extend(cell for cell in cells_of(m, args.all()) if cell not in optimizer.cells)
    return Const(None)


def _clip(m: Machine, args: Arguments, line: int) -> Value:
    return Data()


FUNCTIONS: dict[str, Callable[[Machine, Arguments, int], Value]] = {
    "torch.nn.utils.clip_grad_norm_": _clip,
    "torch.nn.parallel.DistributedDataParallel": first,
}
